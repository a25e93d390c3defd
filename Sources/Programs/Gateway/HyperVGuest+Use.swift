import FoundationEssentials
import LinuxIO
import NetlinkRoute
import VMBusProtocol
import VMBusUIO

/// Who would be hurt if a device were taken away.
extension HyperVGuest {
  /// What the device is used for, in words; nil when nothing is known.
  func deviceUse(_ device: SysfsDevice) throws(GatewayError) -> String? {
    switch device.interfaceClass {
    case .scsi: diskUse(device)
    case .network: linkUse(device)
    default: nil
    }
  }

  // MARK: Disks

  private func diskUse(_ device: SysfsDevice) -> String? {
    let mounts = (try? mountTable(at: procfs + "/self/mountinfo")) ?? []
    let swaps = ((try? readTextFile(procfs + "/swaps")) ?? "").split(separator: "\n").dropFirst()
      .compactMap { $0.split(separator: " ").first.map(String.init) }
    let names = blockDevices(of: device)
    // What people know their disks by is looked for first.
    for name in names {
      for part in [name] + holders(of: name) {
        let through = part == name ? "" : " (through \(part))"
        let paths = [devicePath(part), mapperPath(part)].compactMap { $0 }
        let number = readFirstLine("\(sysfs.root)/class/block/\(part)/dev")
        if let mount = mounts.first(where: { paths.contains($0.source) || $0.device == number }) {
          let place = mount.target == "/" ? "the root filesystem" : "the filesystem mounted at \(mount.target)"
          return "its disk \(name) carries \(place)\(through)"
        }
        if swaps.contains(where: { paths.contains($0) }) { return "its disk \(name) carries swap space\(through)" }
      }
    }
    for name in names {
      if let holder = holders(of: name).first { return "its disk \(name) is part of \(holder)" }
      if isBlockDeviceInUse(devicePath(name)) { return "its disk \(name) is in use" }
    }
    return nil
  }

  private func devicePath(_ name: String) -> String { "/dev/" + name.replacing("!", with: "/") }

  /// The path by which mounts name a device of device-mapper.
  private func mapperPath(_ name: String) -> String? {
    readFirstLine("\(sysfs.root)/class/block/\(name)/dm/name").map { "/dev/mapper/\($0)" }
  }

  /// The block devices that stand below the device: disks and their partitions.
  private func blockDevices(of device: SysfsDevice) -> [String] {
    directoryEntries(sysfs.root + "/class/block").sorted().filter { name in
      (try? canonicalPath("\(sysfs.root)/class/block/\(name)"))?.hasPrefix(device.path + "/") == true
    }
  }

  /// Devices that are made of this one: volumes, arrays, and what is made of those.
  private func holders(of name: String) -> [String] {
    reachable(from: name) { directoryEntries("\(sysfs.root)/class/block/\($0)/holders") }
  }

  // MARK: NICs

  private func linkUse(_ device: SysfsDevice) -> String? {
    let session = sessionAddress()
    for name in directoryEntries(device.path + "/net").sorted() {
      for link in [name] + uppers(of: name) {
        let through = link == name ? "" : " (through \(link))"
        if let session, addresses(of: link).contains(session) {
          return "its link \(name) carries this login session, at \(session)\(through)"
        }
        if defaultRouteLinks().contains(link) { return "the default route goes over its link \(name)\(through)" }
      }
    }
    return nil
  }

  /// Links that stand on this one: bonds, bridges, VLANs.
  private func uppers(of name: String) -> [String] {
    reachable(from: name) { link in
      directoryEntries("\(sysfs.root)/class/net/\(link)").filter { $0.hasPrefix("upper_") }
        .map { String($0.dropFirst("upper_".count)) }
    }
  }

  private func addresses(of link: String) -> [IPAddress] {
    guard let route = try? NetlinkRoute(), let found = (try? route.link(named: link)) ?? nil else { return [] }
    return ((try? route.addresses(of: found.index)) ?? []).map(\.address)
  }

  private func defaultRouteLinks() -> Set<String> {
    var links: Set<String> = []
    let v4 = ((try? readTextFile(procfs + "/net/route")) ?? "").split(separator: "\n").dropFirst()
    for line in v4 {
      let fields = line.split { $0 == "\t" || $0 == " " }
      if fields.count > 7, fields[1] == "00000000", fields[7] == "00000000" { links.insert(String(fields[0])) }
    }
    for line in ((try? readTextFile(procfs + "/net/ipv6_route")) ?? "").split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count > 9, fields[1] == "00", fields[0].allSatisfy({ $0 == "0" }), fields[9] != "lo",
        // Routes that reject (RTF_REJECT) lead nowhere.
        let flags = UInt32(fields[8], radix: 16), flags & 0x200 == 0
      else { continue }
      links.insert(String(fields[9]))
    }
    return links
  }

  /// The address of this machine at which the login session came in; sudo hides it, the processes above know it.
  private func sessionAddress() -> IPAddress? {
    var process = "self"
    for _ in 0..<32 {
      if let environment = try? readTextFile("\(procfs)/\(process)/environ"),
        let entry = environment.split(separator: "\0").first(where: { $0.hasPrefix("SSH_CONNECTION=") })
      {
        let fields = entry.dropFirst("SSH_CONNECTION=".count).split(separator: " ")
        return fields.count == 4 ? IPAddress(fields[2].split(separator: "%")[0]) : nil
      }
      guard let stat = try? readTextFile("\(procfs)/\(process)/stat"), let end = stat.lastIndex(of: ")") else {
        return nil
      }
      let fields = stat[stat.index(after: end)...].split(separator: " ")
      guard fields.count > 1, let parent = Int32(fields[1]), parent > 0 else { return nil }
      process = "\(parent)"
    }
    return nil
  }
}

/// What can be reached from `start` over `next`, without `start`, each once: at most 256, for what sysfs shows may change
/// meanwhile.
private func reachable(from start: String, over next: (String) -> [String]) -> [String] {
  var found: [String] = []
  var open = [start]
  while let name = open.popLast(), found.count < 256 {
    for neighbour in next(name).sorted() where !found.contains(neighbour) {
      found.append(neighbour)
      open.append(neighbour)
    }
  }
  return found
}
