import Block
import FUSEBridge

/// A partition: a range of the disk with a file name.
public struct DiskPartition: Sendable, Equatable {
  /// The file name, for example "p1". "whole", "info.json", "." and ".." and names with a slash are not allowed.
  public var name: String
  /// First byte on the disk.
  public var offset: UInt64
  /// Length in bytes.
  public var byteCount: UInt64

  /// A partition.
  public init(name: String, offset: UInt64, byteCount: UInt64) {
    self.name = name
    self.offset = offset
    self.byteCount = byteCount
  }
}

/// What the filesystem shows at one moment: constant, so that every worker reads it without a lock.
final class DiskTree: Sendable {
  static let wholeNode: UInt64 = 2
  static let infoNode: UInt64 = 3
  static let firstPartitionNode: UInt64 = 16

  /// A file that is a range of the disk.
  struct DiskFile: Sendable, Equatable {
    var name: String
    var node: UInt64
    var offset: UInt64
    var byteCount: UInt64
  }

  let device: BlockDeviceInfo
  let isReadOnly: Bool
  let files: [DiskFile]
  let infoBytes: [UInt8]

  init(device: BlockDeviceInfo, isReadOnly: Bool, files: [DiskFile], infoBytes: [UInt8]) {
    self.device = device
    self.isReadOnly = isReadOnly || device.isReadOnly
    self.files = files
    self.infoBytes = infoBytes
  }

  /// The ranges of all nodes, indexed by node number.
  var ranges: [NodeRange] {
    let last = files.map(\.node).max() ?? 0
    var ranges = [NodeRange](repeating: NodeRange(), count: Int(last) + 1)
    for file in files {
      ranges[Int(file.node)] = NodeRange(offset: file.offset, byteCount: file.byteCount, isPresent: true)
    }
    return ranges
  }

  /// The attributes of a node; nil when there is none (any more).
  func attributes(of node: UInt64) -> FUSEAttributes? {
    switch node {
    case FUSEOperation.rootNode:
      return FUSEAttributes(node: node, isDirectory: true, permissions: 0o700, byteCount: 0)
    case Self.infoNode:
      return FUSEAttributes(
        node: node, isDirectory: false, permissions: 0o400, byteCount: UInt64(infoBytes.count))
    default:
      guard let file = files.first(where: { $0.node == node }) else { return nil }
      return FUSEAttributes(
        node: node, isDirectory: false, permissions: isReadOnly ? 0o400 : 0o600, byteCount: file.byteCount,
        blockByteCount: max(4096, device.physicalSectorByteCount))
    }
  }

  /// The node behind a name in the root.
  func node(named name: String) -> UInt64? {
    name == "info.json" ? Self.infoNode : files.first { $0.name == name }?.node
  }

  /// The root's entries.
  var entries: [FUSEDirectoryEntry] {
    let root = FUSEOperation.rootNode
    var entries = [".", ".."].map { FUSEDirectoryEntry(name: $0, node: root, isDirectory: true) }
    entries += files.map { FUSEDirectoryEntry(name: $0.name, node: $0.node) }
    entries.append(FUSEDirectoryEntry(name: "info.json", node: Self.infoNode))
    return entries
  }
}

/// Where the bytes of a file are on the disk.
struct NodeRange {
  var offset: UInt64 = 0
  var byteCount: UInt64 = 0
  var isPresent = false
}
