import FoundationEssentials
import LinuxIO

/// What state.json tells of one mount.
public struct MountRecord: Codable, Sendable, Equatable {
  /// Name of the mount, unique among those of this machine.
  public var name: String
  /// The source as it was given.
  public var source: String
  /// The bus that carries it: `embedded`, `socket:PATH` or `hyperv`.
  public var bus: String
  /// The process that serves it.
  public var process: Int32
  /// When that process started, in clock ticks since boot: tells it from a later one with the same number.
  public var processStart: UInt64
  /// Where the filesystem is mounted; the view of the disk itself for `--filesystem none`.
  public var directory: String
  /// Where the raw view of the disk is mounted.
  public var diskDirectory: String
  /// Type of the filesystem, nil before it is mounted and for `none`.
  public var filesystem: String?
  /// `kernel`, `userspace`, or `none`.
  public var driver: String
  /// The loop device under the filesystem.
  public var loopDevice: String?
  /// The disk.
  public var disk: DiskReport
  /// What the bus offers.
  public var devices: [DeviceReport]

  /// Reads the state of the mount `name`; nil when there is none that can be read.
  static func load(_ name: String, in runtime: RuntimeDirectory) -> MountRecord? {
    readStateFile(MountRecord.self, at: runtime.mountDirectory(name) + "/state.json")
  }

  /// Writes the state.
  func save(in runtime: RuntimeDirectory) throws(GatewayError) {
    try writeStateFile(self, to: runtime.mountDirectory(name) + "/state.json")
  }

  /// Whether the process that serves the mount still runs.
  public var isAlive: Bool { isProcessAlive(process, startedAt: processStart) }
}

/// One disk as `synthgate disks` shows it. Keys are only ever added.
public struct DiskReport: Codable, Sendable, Equatable {
  /// Name on the gateway.
  public var name: String
  /// File of the whole disk.
  public var path: String?
  /// Capacity in bytes.
  public var size: UInt64
  /// Logical sector size in bytes.
  public var sectorSize: Int
  /// Whether it may not be written.
  public var readOnly: Bool
  /// Serial number.
  public var serial: String
  /// Vendor and product as the disk tells them.
  public var model: String
  /// Instance of the controller.
  public var controller: String
  /// Target on the controller.
  public var target: Int
  /// Logical unit number.
  public var lun: Int
  /// The partitions.
  public var partitions: [PartitionReport]
  /// Where it is mounted.
  public var mount: String?
}

/// One partition.
public struct PartitionReport: Codable, Sendable, Equatable {
  /// Number as in the partition table.
  public var number: Int
  /// File of the partition, if the disk has files.
  public var path: String?
  /// First byte on the disk.
  public var offset: UInt64
  /// Length in bytes.
  public var size: UInt64
  /// Type of the partition as the table has it.
  public var type: String
  /// Name of the partition, if the table has one.
  public var label: String?
  /// Filesystem that was found on it.
  public var filesystem: String?
}

/// One channel offer as `synthgate devices` shows it. Keys are only ever added.
public struct DeviceReport: Codable, Sendable, Equatable {
  /// Name of the device class.
  public var `class`: String
  /// Instance.
  public var instance: String
  /// Number of the primary channel.
  public var relid: UInt32
  /// `offered` or `open`.
  public var state: String
  /// How many channels are open.
  public var channels: Int
  /// Short name, for `attach` and `detach`; nil unless it is a device of the kernel's bus, as all below.
  public var name: String?
  /// The driver that has it; empty when none has.
  public var driver: String?
  /// The bit in the monitor page by which it is signalled; nil when it has none.
  public var monitorID: Int?
  /// Length of each ring in bytes, control page included; nil unless it is attached.
  public var ringSize: Int?
  /// How many sub-channels it has.
  public var subChannels: Int?
}
