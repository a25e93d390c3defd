import FUSEBridge
import LinuxIO
import SharedMemory
import Testing

@Suite struct FUSEBridgeTests {
  @Test func handshakeAsksForWhatTheDataPathNeeds() throws {
    let reply = try Peer().initReply
    // fuse_out_header, then fuse_init_out (64 bytes).
    #expect(reply.count == 80)
    #expect(reply.le32(at: 4) == 0)
    #expect(reply.le32(at: 16) == 7)
    let flags = reply.le32(at: 16 + 12)
    #expect(flags & (1 << 0) != 0, "FUSE_ASYNC_READ")
    #expect(flags & (1 << 15) != 0, "FUSE_ASYNC_DIO")
    #expect(flags & (1 << 3) == 0, "FUSE_ATOMIC_O_TRUNC")
    #expect(flags & (1 << 16) == 0, "FUSE_WRITEBACK_CACHE")
    #expect(flags & (1 << 30) != 0, "FUSE_INIT_EXT")
    #expect(reply.le32(at: 16 + 32) & (1 << 4) != 0, "FUSE_DIRECT_IO_ALLOW_MMAP")
    #expect(reply.le32(at: 16 + 16) == 512 | 512 << 16, "max_background, congestion_threshold")
    #expect(reply.le32(at: 16 + 20) == UInt32(Peer.transferByteCount), "max_write")
  }

  @Test(arguments: [nil, 0] as [UInt32?])
  func mappingIsAskedForOnlyWhereItIsOffered(flags2: UInt32?) throws {
    let reply = try Peer(flags2: flags2).initReply
    let extended = reply.le32(at: 16 + 12) & (1 << 30) != 0
    #expect(!extended || reply.le32(at: 16 + 32) & (1 << 4) == 0)
  }

  @Test func lookUpAndAttributes() throws {
    let peer = try Peer()
    try peer.send(message(1, unique: 10, node: 1, Array("whole".utf8) + [0]))
    guard case .request(.lookUp(let parent, let name), let reply) = peer.channel.receive(into: peer.slice) else {
      Issue.record("no request")
      return
    }
    #expect(parent == 1 && name == "whole")
    reply.succeed(entry: FUSEAttributes(node: 2, isDirectory: false, permissions: 0o600, byteCount: 12345))
    // fuse_entry_out: nodeid, generation, two times of validity, then fuse_attr with ino and size.
    let answer = try peer.reply()
    #expect(answer.count == 16 + 128)
    #expect(Array(answer[16..<24]) == le64(2))
    #expect(Array(answer[56..<72]) == le64(2) + le64(12345))
    #expect(answer.le32(at: 56 + 60) == 0o100600)
  }

  @Test func writePayloadStaysInPlace() throws {
    let peer = try Peer()
    let payload = (0..<4096).map { UInt8(truncatingIfNeeded: $0) }
    // fuse_write_in: fh, offset, size, write_flags, lock_owner, flags, padding.
    let body = le64(0) + le64(512) + le32(4096) + le32(0) + le64(0) + le32(0o10002) + le32(0)
    try peer.send(message(16, unique: 11, node: 2, body + payload))
    guard case .request(.write(2, 512, let found, let flags), let reply) = peer.channel.receive(into: peer.slice)
    else {
      Issue.record("no request")
      return
    }
    #expect(found.address == peer.slice.address + UInt(FUSEChannel.headerByteCount))
    #expect(found.address % 4096 == 0)
    #expect(found.bytes() == payload)
    #expect(flags == 0o10002)
    reply.succeed(writtenByteCount: 4096)
    #expect(try peer.reply() == answer(unique: 11, le32(4096) + le32(0)))
  }

  @Test func writeThatClaimsMoreThanItBrings() throws {
    let peer = try Peer()
    for size in [4097, 1 << 20, UInt32.max] {
      let body = le64(0) + le64(0) + le32(size) + [UInt8](repeating: 0, count: 20)
      try peer.send(message(16, unique: 12, node: 2, body + [UInt8](repeating: 1, count: 4096)))
      guard case .handled = peer.channel.receive(into: peer.slice) else {
        Issue.record("a request came through")
        return
      }
      #expect(try peer.reply() == answer(unique: 12, error: -5))
    }
  }

  @Test func readIsAnsweredFromTheCallersMemory() throws {
    let peer = try Peer()
    try peer.send(message(15, unique: 13, node: 2, le64(0) + le64(1024) + le32(100) + [UInt8](repeating: 0, count: 20)))
    guard case .request(.read(2, 1024, 100), let reply) = peer.channel.receive(into: peer.slice) else {
      Issue.record("no request")
      return
    }
    peer.area.slice.slice(at: 4096, count: 100).fill(7)
    reply.succeed(data: peer.area.slice.slice(at: 4096, count: 100))
    #expect(try peer.reply() == answer(unique: 13, [UInt8](repeating: 7, count: 100)))
  }

  @Test func openCarriesFlagsThatLibfuseDoesNotKnow() throws {
    let peer = try Peer()
    try peer.send(message(14, unique: 14, node: 2, le32(2) + le32(0)))
    guard case .request(.open(2, 2), let reply) = peer.channel.receive(into: peer.slice) else {
      Issue.record("no request")
      return
    }
    reply.succeed(opening: [.directIO, .parallelDirectWrites])
    #expect(try peer.reply() == answer(unique: 14, le64(0) + le32(0x41) + le32(0)))
  }

  @Test func droppedRepliesAnswerAndAreCounted() throws {
    let peer = try Peer()
    try peer.send(message(17, unique: 15, node: 1))
    if case .request(.statistics, let reply) = peer.channel.receive(into: peer.slice) { _ = consume reply }
    #expect(try peer.reply() == answer(unique: 15, error: -5))
    #expect(peer.channel.droppedReplyCount == 1)
  }

  @Test func parkedRepliesAreAnsweredLaterOrAtTheEnd() throws {
    var peer: Peer? = try Peer()
    for unique in [20, 21] as [UInt64] {
      try peer!.send(message(17, unique: unique, node: 1))
      if case .request(.statistics, let reply) = peer!.channel.receive(into: peer!.slice) {
        peer!.channel.park(reply, in: Int(unique - 20))
      }
    }
    peer!.channel.take(from: 1).fail(.ENODEV)
    #expect(try peer!.reply() == answer(unique: 21, error: -19))
    let socket = try peer!.detachSocket()
    peer = nil
    #expect(try socket.receive(maximum: 100)?.bytes == answer(unique: 20, error: -5))
    #expect(try socket.receive(maximum: 100) == nil)
  }

  @Test func interruptsAndForgetsNeedNothing() throws {
    let peer = try Peer()
    try peer.send(message(36, unique: 31, node: 0, le64(30)))
    try peer.send(message(2, unique: 32, node: 2, le64(1)))
    for _ in 0..<2 {
      guard case .handled = peer.channel.receive(into: peer.slice) else {
        Issue.record("a request came through")
        return
      }
    }
    guard case .empty = peer.channel.receive(into: peer.slice) else {
      Issue.record("not empty")
      return
    }
    // An operation without a handler is refused by libfuse itself (FUSE_GETXATTR).
    try peer.send(message(22, unique: 33, node: 2, le32(10) + le32(0) + [97, 0]))
    guard case .handled = peer.channel.receive(into: peer.slice) else {
      Issue.record("a request came through")
      return
    }
    #expect(try peer.reply() == answer(unique: 33, error: -38))
  }
}
