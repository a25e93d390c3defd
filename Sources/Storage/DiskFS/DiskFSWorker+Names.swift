import Block
import FUSEBridge
import LinuxIO

extension DiskFSWorker {
  /// Answers what needs no device: names, attributes, opens.
  mutating func answer(_ operation: FUSEOperation, _ reply: consuming FUSEReply) {
    switch operation {
    case .lookUp(let parent, let name):
      guard parent == FUSEOperation.rootNode else { return refuse(reply, .ENOTDIR) }
      guard let node = tree.node(named: name), let attributes = tree.attributes(of: node) else {
        return refuse(reply, .ENOENT)
      }
      reply.succeed(entry: attributes)
    case .attributes(let node):
      guard let attributes = tree.attributes(of: node) else { return refuse(reply, .ENODEV) }
      reply.succeed(attributes: attributes)
    case .changeAttributes(let node, let changes):
      guard let attributes = tree.attributes(of: node) else { return refuse(reply, .ENODEV) }
      guard changes.isDisjoint(with: [.mode, .user, .group]) else { return refuse(reply, .EPERM) }
      // A disk has the length that it has: truncate(2) and O_TRUNC succeed without effect, as on a block device.
      reply.succeed(attributes: attributes)
    case .open(let node, let flags):
      open(node, flags, reply)
    case .readDirectory(let node, let cookie, let byteCount):
      guard node == FUSEOperation.rootNode else { return refuse(reply, .ENOTDIR) }
      reply.succeed(entries: tree.entries, cookie: cookie, byteCount: byteCount)
    case .statistics:
      let sector = max(1, tree.device.sectorByteCount)
      reply.succeed(
        statistics: FUSEStatistics(
          blockByteCount: sector, blockCount: tree.device.byteCount / UInt64(sector),
          fileCount: UInt64(tree.files.count + 1)))
    case .changeNames:
      refuse(reply, .EPERM)
    case .read, .write, .synchronize, .allocate, .seek:
      refuse(reply, .EIO)
    }
  }

  /// Every open is for direct I/O, whether the user says O_DIRECT or not: the filesystem on the disk has its own page
  /// cache, a second one would only cost memory and copies; requests of any alignment are served.
  private mutating func open(_ node: UInt64, _ flags: Int32, _ reply: consuming FUSEReply) {
    let isInfo = node == DiskTree.infoNode
    guard isInfo || range(of: node) != nil else { return refuse(reply, .ENODEV) }
    let wantsWrite = flags & 3 != 0  // O_ACCMODE
    if wantsWrite, isInfo || tree.isReadOnly { return refuse(reply, .EROFS) }
    reply.succeed(opening: [.directIO, .parallelDirectWrites])
  }
}
