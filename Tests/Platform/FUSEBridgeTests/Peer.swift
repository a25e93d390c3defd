import FUSEBridge
import Glibc
import LinuxIO
import SharedMemory

/// The kernel's side of a FUSE connection, played over a socket pair: no mount, no privilege.
final class Peer {
  let channel: FUSEChannel
  let initReply: [UInt8]
  let area: MemoryRegion
  private let socket: PacketSocket
  static let transferByteCount = 8192

  /// - Parameter flags2: what FUSE_INIT offers in `flags2`; nil leaves FUSE_INIT_EXT out.
  init(flags2: UInt32? = 1 << 4) throws {
    let pair = try PacketSocket.pair()
    let own = OwnedDescriptor(adopting: dup(pair.second.descriptor))
    socket = PacketSocket(adopting: OwnedDescriptor(adopting: dup(pair.first.descriptor)))
    // fuse_init_in: version 7.40, 128 KiB read-ahead; ASYNC_READ, BIG_WRITES, ASYNC_DIO, PARALLEL_DIROPS, MAX_PAGES.
    var flags: UInt32 = 1 << 0 | 1 << 5 | 1 << 15 | 1 << 18 | 1 << 22
    if flags2 != nil { flags |= 1 << 30 }
    let body =
      le32(7) + le32(40) + le32(131072) + le32(flags) + le32(flags2 ?? 0) + [UInt8](repeating: 0, count: 44)
    try Self.send(message(26, unique: 1, node: 0, body), socket)
    channel = try FUSEChannel(serving: own, slotCount: 4, transferByteCount: Self.transferByteCount)
    initReply = try Self.receive(socket)
    area = try MemoryRegion(anonymous: 4096 + Self.transferByteCount)
  }

  /// Where requests are received: the payload of a write begins on a page.
  var slice: MemorySlice { area.slice.dropFirst(4096 - FUSEChannel.headerByteCount) }

  func send(_ bytes: [UInt8]) throws { try Self.send(bytes, socket) }

  /// The next reply.
  func reply() throws -> [UInt8] { try Self.receive(socket) }

  /// A second descriptor of the kernel's end, which outlives this object.
  func detachSocket() throws -> PacketSocket {
    PacketSocket(adopting: OwnedDescriptor(adopting: dup(socket.descriptor)))
  }

  private static func send(_ bytes: [UInt8], _ socket: borrowing PacketSocket) throws {
    try socket.send(bytes.span.bytes)
  }

  private static func receive(_ socket: borrowing PacketSocket) throws -> [UInt8] {
    try socket.receive(maximum: 65536)?.bytes ?? []
  }
}

func le32(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

func le64(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

/// A request: fuse_in_header and what follows.
func message(_ opcode: UInt32, unique: UInt64, node: UInt64, _ body: [UInt8] = []) -> [UInt8] {
  le32(UInt32(40 + body.count)) + le32(opcode) + le64(unique) + le64(node) + [UInt8](repeating: 0, count: 16) + body
}

/// A reply: fuse_out_header and what follows.
func answer(unique: UInt64, error: Int32 = 0, _ body: [UInt8] = []) -> [UInt8] {
  le32(UInt32(16 + body.count)) + le32(UInt32(bitPattern: error)) + le64(unique) + body
}

extension [UInt8] {
  func le32(at offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(self[offset + $1]) << (8 * UInt32($1)) }
  }
}
