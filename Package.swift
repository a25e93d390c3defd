// swift-tools-version: 6.3
import PackageDescription

// The dependency list of a target is its architecture page: arrows point only down (docs/architecture.md).
// Floor 0 (Platform) is the only place where unsafe code may stand; `swift run dev lint` checks it.

let strict: [SwiftSetting] = [
  .enableExperimentalFeature("Lifetimes"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .unsafeFlags(["-cross-module-optimization", "-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// A target at `Sources/<wing>/<name>`.
func target(_ name: String, _ wing: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, path: "Sources/\(wing)/\(name)", swiftSettings: strict)
}

/// A C module at `Sources/Platform/<name>`: a module map for a Debian library, with shims for macros and variadics.
func cModule(_ name: String, links libraries: [String] = []) -> Target {
  .target(
    name: name, path: "Sources/Platform/\(name)", linkerSettings: libraries.map { .linkedLibrary($0) })
}

/// The tests of one target, at `Tests/<wing>/<name>Tests`.
func tests(_ name: String, _ wing: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.target(name: name)] + dependencies, path: "Tests/\(wing)/\(name)Tests",
    swiftSettings: [
      .enableExperimentalFeature("Lifetimes"), .enableUpcomingFeature("ExistentialAny"),
      .treatAllWarnings(as: .error),
    ])
}

let package = Package(
  name: "synthgate",
  products: [
    .executable(name: "synthgate", targets: ["synthgate"]),
    .executable(name: "synthgate-vm", targets: ["synthgate-vm"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2")
  ],
  targets: [
    // Floor 0: the only unsafe code.
    target("WireBytes", "Platform"),
    cModule("CLinux"),
    target("LinuxIO", "Platform", ["CLinux"]),
    target("SharedMemory", "Platform", ["LinuxIO", "WireBytes", "CLinux"]),
    cModule("CURing", links: ["uring"]),
    target("URing", "Platform", ["CURing", "SharedMemory", "LinuxIO"]),
    cModule("CFUSE", links: ["fuse3"]),
    target("FUSEBridge", "Platform", ["CFUSE", "SharedMemory", "LinuxIO"]),
    cModule("CYAML", links: ["yaml"]),
    target("YAMLDocument", "Platform", ["CYAML"]),
    cModule("CBlkid", links: ["blkid"]),
    target("FilesystemProbe", "Platform", ["CBlkid"]),
    cModule("CNBD", links: ["nbd"]),
    target("NBDConnection", "Platform", ["CNBD", "SharedMemory", "LinuxIO"]),
    cModule("CKVM"),
    target("KVM", "Platform", ["CKVM", "SharedMemory", "LinuxIO"]),
    // Its headers lie below a directory that only pkg-config names.
    .systemLibrary(name: "CNetlink", path: "Sources/Platform/CNetlink", pkgConfig: "libnl-3.0"),
    target("NetlinkRoute", "Platform", ["CNetlink", "LinuxIO", "WireBytes"]),

    // Floor 1: wire formats and the two device protocols.
    target("VMBusProtocol", "VMBus", ["WireBytes"]),
    target("SCSI", "Storage", ["WireBytes"]),
    target("StorvscProtocol", "Storage", ["WireBytes", "SCSI"]),
    target("ImageFormats", "Storage", ["WireBytes"]),
    target("Block", "Storage", ["SharedMemory", "LinuxIO", "WireBytes"]),
    target("Ethernet", "Network", ["SharedMemory", "LinuxIO", "WireBytes"]),
    target("NetvscProtocol", "Network", ["Ethernet", "WireBytes"]),
    target("EthernetSwitch", "Network", ["Ethernet", "SharedMemory", "LinuxIO", "WireBytes"]),

    // Floor 2: rings and channels.
    target("VMBusRing", "VMBus", ["VMBusProtocol", "SharedMemory", "WireBytes"]),
    target("VMBusChannel", "VMBus", ["VMBusRing", "VMBusProtocol", "SharedMemory", "LinuxIO"]),

    // Floor 3: guest drivers and host ends.
    target(
      "Storvsc", "Storage",
      [
        "VMBusChannel", "VMBusRing", "VMBusProtocol", "StorvscProtocol", "SCSI", "Block", "SharedMemory", "LinuxIO",
        "WireBytes",
      ]),
    target(
      "Storvsp", "Storage",
      [
        "VMBusChannel", "VMBusRing", "VMBusProtocol", "StorvscProtocol", "SCSI", "Block", "SharedMemory", "LinuxIO",
        "WireBytes",
      ]),
    target(
      "Netvsc", "Network",
      [
        "VMBusChannel", "VMBusRing", "VMBusProtocol", "NetvscProtocol", "Ethernet", "SharedMemory", "LinuxIO",
        "WireBytes",
      ]),
    target(
      "Netvsp", "Network",
      [
        "VMBusChannel", "VMBusRing", "VMBusProtocol", "NetvscProtocol", "Ethernet", "SharedMemory", "LinuxIO",
        "WireBytes",
      ]),
    target(
      "IntegrationServices", "VMBus",
      ["VMBusChannel", "VMBusRing", "VMBusProtocol", "SharedMemory", "LinuxIO", "WireBytes"]),

    // Floor 4: what stands on either end.
    target(
      "DiskImage", "Storage",
      ["ImageFormats", "Block", "URing", "NBDConnection", "SharedMemory", "LinuxIO", "WireBytes"]),
    target("DiskFS", "Storage", ["Block", "FUSEBridge", "SharedMemory", "LinuxIO"]),
    target("TapLink", "Network", ["Ethernet", "NetlinkRoute", "SharedMemory", "LinuxIO", "WireBytes"]),
    target(
      "VMBusClient", "VMBus",
      ["VMBusChannel", "VMBusRing", "VMBusProtocol", "SharedMemory", "LinuxIO", "WireBytes"]),
    target(
      "VMBusServer", "VMBus",
      ["VMBusChannel", "VMBusRing", "VMBusProtocol", "SharedMemory", "LinuxIO", "WireBytes"]),
    target(
      "VMBusUIO", "VMBus",
      ["VMBusChannel", "VMBusRing", "VMBusProtocol", "SharedMemory", "LinuxIO", "WireBytes"]),

    // Floor 5: assembly.
    target(
      "ImageTools", "Programs", ["DiskImage", "ImageFormats", "Block", "LinuxIO", "SharedMemory"]),
    target(
      "SyntheticHost", "Programs",
      [
        "VMBusServer", "VMBusChannel", "VMBusProtocol", "IntegrationServices", "Storvsp", "DiskImage", "Block",
        "Netvsp", "EthernetSwitch", "TapLink", "Ethernet", "YAMLDocument", "LinuxIO", "SharedMemory", "WireBytes",
      ]),
    target(
      "Gateway", "Programs",
      [
        "SyntheticHost", "VMBusServer", "VMBusClient", "VMBusUIO", "VMBusChannel", "VMBusProtocol", "Storvsc", "DiskFS",
        "DiskImage", "ImageFormats", "Block", "FilesystemProbe", "Netvsc", "TapLink", "Ethernet", "NetlinkRoute",
        "LinuxIO",
        "SharedMemory",
      ]),
    target(
      "VirtualMachine", "Programs",
      ["SyntheticHost", "VMBusServer", "VMBusChannel", "VMBusProtocol", "KVM", "SharedMemory", "LinuxIO", "WireBytes"]),

    // Floor 6: programs.
    .executableTarget(
      name: "synthgate",
      dependencies: [
        "Gateway", "SyntheticHost", "ImageTools", "ImageFormats", "DiskImage", "Ethernet", "NetlinkRoute", "LinuxIO",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/Programs/synthgate", swiftSettings: strict),
    .executableTarget(
      name: "synthgate-vm",
      dependencies: [
        "VirtualMachine", "SyntheticHost", "VMBusServer", "KVM", "LinuxIO",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/Programs/synthgate-vm", swiftSettings: strict),
    .executableTarget(
      name: "dev", dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")],
      path: "Sources/Programs/dev", swiftSettings: strict),

    // Measurements against peers: `swift run -c release benchmark storage`, `images` and `network`.
    .executableTarget(
      name: "benchmark",
      dependencies: [
        "DiskFS", "DiskImage", "FUSEBridge", "VMBusServer", "VMBusClient", "VMBusProtocol", "Netvsc", "Netvsp",
        "EthernetSwitch", "TapLink", "Ethernet", "NetlinkRoute", "SharedMemory", "LinuxIO", "WireBytes",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Tests/Benchmarks", swiftSettings: strict),

    tests("dev", "Programs"),
    tests("ImageTools", "Programs", ["DiskImage", "ImageFormats", "Block", "LinuxIO"]),
    tests(
      "Gateway", "Programs",
      [
        "NetworkSupport", "SyntheticHost", "VMBusServer", "Netvsp", "EthernetSwitch", "TapLink", "NetlinkRoute",
        "Ethernet", "VMBusProtocol", "VMBusUIO", "Support", "LinuxIO",
      ]),
    // It drives the built program from outside; of ours it uses only what starts processes.
    .testTarget(
      name: "EndToEndTests", dependencies: ["LinuxIO", "WireBytes", "NetworkSupport", "NBDSupport"],
      path: "Tests/EndToEndTests",
      swiftSettings: [.enableUpcomingFeature("ExistentialAny"), .treatAllWarnings(as: .error)]),
    // Stock Linux kernels as guests, in nested emulation; it drives the built programs from outside.
    .testTarget(
      name: "HyperVGuest", dependencies: ["LinuxIO"], path: "Tests/HyperVGuest", exclude: ["rig"],
      swiftSettings: [.enableUpcomingFeature("ExistentialAny"), .treatAllWarnings(as: .error)]),
    tests(
      "SyntheticHost", "Programs",
      [
        "Support", "TestVectors", "IntegrationServices", "VMBusServer", "VMBusClient", "VMBusChannel", "VMBusProtocol",
        "Storvsc", "Block", "Ethernet", "LinuxIO", "WireBytes",
      ]),
    tests("KVM", "Platform", ["SharedMemory", "LinuxIO"]),
    tests(
      "VirtualMachine", "Programs",
      ["TestVectors", "SyntheticHost", "VMBusServer", "VMBusProtocol", "KVM", "SharedMemory", "LinuxIO", "WireBytes"]),
    tests(
      "IntegrationServices", "VMBus",
      [
        "TestVectors", "Support", "VMBusServer", "VMBusClient", "VMBusChannel", "VMBusRing", "VMBusProtocol",
        "SharedMemory", "LinuxIO", "WireBytes",
      ]),
    tests(
      "VMBusUIO", "VMBus",
      ["Support", "VMBusChannel", "VMBusRing", "VMBusProtocol", "SharedMemory", "LinuxIO", "WireBytes"]
    ),
    tests("WireBytes", "Platform"),
    tests("SCSI", "Storage", ["TestVectors", "WireBytes"]),
    tests("StorvscProtocol", "Storage", ["TestVectors", "SCSI", "WireBytes"]),
    tests("VMBusProtocol", "VMBus", ["TestVectors", "WireBytes"]),
    tests("FUSEBridge", "Platform", ["SharedMemory", "LinuxIO"]),
    tests("LinuxIO", "Platform", ["CLinux"]),
    tests("SharedMemory", "Platform", ["LinuxIO"]),
    tests("URing", "Platform", ["SharedMemory", "LinuxIO"]),
    tests("NBDConnection", "Platform", ["NBDSupport", "SharedMemory", "LinuxIO"]),
    .target(
      name: "NBDSupport", dependencies: ["LinuxIO", "WireBytes"], path: "Tests/NBDSupport",
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault"), .treatAllWarnings(as: .error)]),
    tests("Block", "Storage", ["SharedMemory", "LinuxIO"]),
    tests("ImageFormats", "Storage", ["TestVectors", "WireBytes"]),
    tests(
      "DiskImage", "Storage",
      [
        "NBDSupport", "NBDConnection", "TestVectors", "ImageFormats", "Block", "SharedMemory", "LinuxIO", "CLinux",
        "WireBytes",
      ]),
    tests("DiskFS", "Storage", ["Block", "FUSEBridge", "SharedMemory", "LinuxIO", "CLinux"]),
    tests(
      "Storvsp", "Storage",
      [
        "TestVectors", "VMBusChannel", "VMBusRing", "VMBusProtocol", "StorvscProtocol", "SCSI", "Block", "SharedMemory",
        "LinuxIO",
        "WireBytes",
      ]),
    tests("VMBusRing", "VMBus", ["Support", "BusPeer", "VMBusProtocol", "SharedMemory", "LinuxIO", "WireBytes"]),
    tests("VMBusChannel", "VMBus", ["Support", "VMBusRing", "VMBusProtocol", "SharedMemory", "LinuxIO", "WireBytes"]),
    tests(
      "VMBusServer", "VMBus",
      ["Support", "VMBusChannel", "VMBusProtocol", "SharedMemory", "LinuxIO", "WireBytes"]),
    tests(
      "VMBusClient", "VMBus",
      [
        "Support", "BusPeer", "VMBusServer", "VMBusChannel", "VMBusRing", "VMBusProtocol", "SharedMemory", "LinuxIO",
        "WireBytes",
      ]),
    .target(name: "TestVectors", path: "Tests/TestVectors", swiftSettings: strict),
    .target(
      name: "Support",
      dependencies: [
        "VMBusClient", "VMBusServer", "VMBusChannel", "VMBusRing", "VMBusProtocol", "SharedMemory", "LinuxIO",
        "WireBytes",
      ], path: "Tests/Support", swiftSettings: strict),
    .executableTarget(
      name: "BusPeer",
      dependencies: [
        "Support", "VMBusClient", "VMBusServer", "VMBusChannel", "VMBusRing", "VMBusProtocol", "SharedMemory",
        "LinuxIO",
        "WireBytes",
      ], path: "Tests/BusPeer", swiftSettings: strict),
    tests(
      "Storvsc", "Storage",
      [
        "VMBusChannel", "VMBusRing", "VMBusProtocol", "VMBusServer", "VMBusClient", "Storvsp", "StorvscProtocol",
        "SCSI",
        "Block", "SharedMemory", "LinuxIO", "WireBytes",
      ]),
    .target(
      name: "NetworkSupport", dependencies: ["LinuxIO", "CLinux"], path: "Tests/NetworkSupport",
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault"), .treatAllWarnings(as: .error)]),
    tests("NetlinkRoute", "Platform", ["NetworkSupport", "LinuxIO", "WireBytes"]),
    tests(
      "TapLink", "Network", ["NetworkSupport", "Ethernet", "NetlinkRoute", "SharedMemory", "LinuxIO", "WireBytes"]),
    tests("NetvscProtocol", "Network", ["TestVectors", "Ethernet", "WireBytes"]),
    tests(
      "Netvsc", "Network",
      [
        "Support", "VMBusServer", "VMBusClient", "Netvsp", "VMBusChannel", "VMBusRing", "VMBusProtocol",
        "NetvscProtocol", "Ethernet", "SharedMemory", "LinuxIO", "WireBytes",
      ]),
    tests(
      "Netvsp", "Network",
      [
        "VMBusChannel", "VMBusRing", "VMBusProtocol", "NetvscProtocol", "Ethernet", "SharedMemory", "LinuxIO",
        "WireBytes",
      ]),
    tests("Ethernet", "Network", ["TestVectors", "SharedMemory", "LinuxIO", "WireBytes", "CLinux"]),
    tests("EthernetSwitch", "Network", ["Ethernet", "SharedMemory", "LinuxIO", "WireBytes"]),
  ],
  swiftLanguageModes: [.v6]
)
