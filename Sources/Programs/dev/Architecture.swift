/// The target graph: floors, and what may be imported. Arrows point only down (docs/architecture.md).
enum Architecture {
  /// The floor of each target.
  static let floors: [String: Int] = [
    "WireBytes": 0, "LinuxIO": 0, "SharedMemory": 0, "URing": 0, "FUSEBridge": 0, "NetlinkRoute": 0,
    "YAMLDocument": 0, "FilesystemProbe": 0, "KVM": 0, "NBDConnection": 0,
    "VMBusProtocol": 1, "SCSI": 1, "StorvscProtocol": 1, "NetvscProtocol": 1, "Block": 1, "ImageFormats": 1,
    "Ethernet": 1,
    "VMBusRing": 2, "VMBusChannel": 2,
    "Storvsc": 3, "Netvsc": 3, "Storvsp": 3, "Netvsp": 3, "IntegrationServices": 3,
    "DiskFS": 4, "TapLink": 4, "EthernetSwitch": 4, "DiskImage": 4, "VMBusUIO": 4, "VMBusClient": 4, "VMBusServer": 4,
    "SyntheticHost": 5, "ImageTools": 5, "Gateway": 5, "VirtualMachine": 5,
    "synthgate": 6, "synthgate-vm": 6, "dev": 6,
  ]

  /// What a target may import from its own floor.
  static let neighbours: [String: Set<String>] = [
    "SharedMemory": ["LinuxIO", "WireBytes"],
    "URing": ["SharedMemory", "LinuxIO"],
    "KVM": ["SharedMemory", "LinuxIO"],
    "NBDConnection": ["SharedMemory", "LinuxIO"],
    "FUSEBridge": ["SharedMemory", "LinuxIO"],
    "NetlinkRoute": ["LinuxIO", "WireBytes"],
    "StorvscProtocol": ["SCSI"],
    "NetvscProtocol": ["Ethernet"],
    "VMBusChannel": ["VMBusRing"],
    "Gateway": ["SyntheticHost"],
    "VirtualMachine": ["SyntheticHost"],
  ]

  /// The Swift targets that import a C module: one, so that there is one place that vouches for it.
  static let cModules: [String: Set<String>] = [
    "CLinux": ["LinuxIO", "SharedMemory"],
    "CURing": ["URing"],
    "CFUSE": ["FUSEBridge"],
    "CYAML": ["YAMLDocument"],
    "CBlkid": ["FilesystemProbe"],
    "CNetlink": ["NetlinkRoute"],
    "CKVM": ["KVM"],
    "CNBD": ["NBDConnection"],
  ]

  /// Targets that may import only these of the lower floors: wire formats do no I/O, and what shows a disk or a link
  /// knows nothing of the bus.
  static let narrowed: [String: Set<String>] = [
    "VMBusProtocol": ["WireBytes"],
    "SCSI": ["WireBytes"],
    "StorvscProtocol": ["WireBytes", "SCSI"],
    "NetvscProtocol": ["WireBytes", "Ethernet"],
    "DiskFS": ["Block", "FUSEBridge", "SharedMemory", "LinuxIO"],
    "ImageFormats": ["WireBytes"],
    "DiskImage": ["ImageFormats", "Block", "URing", "NBDConnection", "SharedMemory", "LinuxIO", "WireBytes"],
    "TapLink": ["Ethernet", "NetlinkRoute", "SharedMemory", "LinuxIO", "WireBytes"],
    "EthernetSwitch": ["Ethernet", "SharedMemory", "LinuxIO", "WireBytes"],
  ]

  /// Why `target` may not import `module`; nil when it may.
  static func objection(to module: String, in target: String) -> String? {
    guard let floor = floors[target] else {
      return "the target \(target) has no floor; give it one in Sources/Programs/dev/Architecture.swift"
    }
    if let owners = cModules[module] {
      return owners.contains(target) ? nil : "only \(owners.sorted().joined(separator: ", ")) may import \(module)"
    }
    if let other = floors[module] {
      if let allowed = narrowed[target], !allowed.contains(module) {
        return "\(target) may import only \(allowed.sorted().joined(separator: ", "))"
      }
      if other < floor || neighbours[target]?.contains(module) == true { return nil }
      return "\(target) (floor \(floor)) may not import \(module) (floor \(other))"
    }
    switch module {
    case "Synchronization": return nil
    case "ArgumentParser": return floor == 6 ? nil : "ArgumentParser belongs to the programs"
    case "FoundationEssentials": return floor >= 5 ? nil : "no Foundation below Programs"
    case "Foundation": return "no Foundation; above floor 4 FoundationEssentials"
    case "Glibc": return "import CLinux through LinuxIO instead of Glibc"
    default: return "\(module) is not in the target graph; see Sources/Programs/dev/Architecture.swift"
    }
  }
}

/// Imports follow the target graph.
let importRule = HouseRule(
  name: "imports", summary: "targets import only what stands below them; a C module has one user"
) { file in
  guard file.isSwift, file.isBelow("Sources"), let target = file.target else { return [] }
  return file.code.indices.compactMap { index in
    guard let module = importedModule(file.code[index]),
      let objection = Architecture.objection(to: module, in: target)
    else { return nil }
    return file.finding(index, "import \(module): \(objection)")
  }
}

/// The module that a line of code imports.
func importedModule(_ code: String) -> String? {
  let words = code.split(separator: " ")
  guard let position = words.firstIndex(of: "import"), position + 1 < words.count else { return nil }
  let modifiers = words[..<position]
  guard modifiers.allSatisfy({ $0.hasPrefix("@") || ["public", "internal", "package", "private"].contains($0) }) else {
    return nil
  }
  let kinds: Set<Substring> = ["struct", "class", "enum", "func", "var", "let", "protocol", "typealias"]
  let name =
    kinds.contains(words[position + 1]) && position + 2 < words.count ? words[position + 2] : words[position + 1]
  return name.split(separator: ".").first.map(String.init)
}
