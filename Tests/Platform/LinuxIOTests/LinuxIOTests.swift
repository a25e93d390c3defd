import CLinux
import LinuxIO
import Testing

@Suite struct LinuxIOTests {
  @Test func descriptorsCloseOnce() throws {
    var number: Int32 = -1
    do {
      let file = try OwnedDescriptor.open("/dev/null", flags: O_RDWR)
      number = file.number
      let copy = try file.duplicate()
      #expect(copy.number != number && synthgate_fcntl(copy.number, F_GETFD, 0) == FD_CLOEXEC)
      let released = copy.release()
      #expect(synthgate_fcntl(released, F_GETFD, 0) >= 0)
      close(released)
      try file.setNonBlocking()
      #expect(synthgate_fcntl(number, F_GETFL, 0) & O_NONBLOCK != 0)
      try file.setBlocking()
      #expect(synthgate_fcntl(number, F_GETFL, 0) & O_NONBLOCK == 0)
    }
    #expect(throws: Errno.ENOENT) { _ = try OwnedDescriptor.open("/nowhere/at/all", flags: O_RDONLY) }
    #expect(Errno.ENOENT.description == "No such file or directory")
  }

  @Test func eventsAndEpoll() throws {
    let first = try EventFD()
    let second = try EventFD()
    let set = try Epoll(capacity: 4)
    try set.add(first.descriptor, token: 1)
    try set.add(second.descriptor, token: .max)
    #expect(throws: Errno.EEXIST) { try set.add(first.descriptor, token: 3) }
    #expect(set.wait(milliseconds: 0) == 0)
    second.signal()
    second.signal()
    #expect(set.wait(milliseconds: 1000) == 1 && set.token(at: 0) == .max && !set.hasFailed(at: 0))
    // Level-triggered: it stays until it is drained, once for both signals.
    #expect(set.wait(milliseconds: 0) == 1)
    #expect(second.drain() && !second.drain())
    #expect(set.wait(milliseconds: 0) == 0)
    // Its own descriptor can stand in another set.
    let outer = try Epoll()
    try outer.add(set.descriptor, token: 9)
    first.signal()
    #expect(outer.wait(milliseconds: 1000) == 1 && outer.token(at: 0) == 9)
    set.remove(first.descriptor)
    #expect(set.wait(milliseconds: 0) == 0)
    let copy = EventFD(adopting: try first.duplicate())
    #expect(copy.drain() && !first.drain())
  }

  @Test func packetsKeepBoundariesAndBringDescriptors() throws {
    let pair = try PacketSocket.pair()
    let event = try EventFD()
    try pair.first.send(([1, 2, 3] as [UInt8]).span.bytes)
    try pair.first.send(([4] as [UInt8]).span.bytes, descriptors: Array(repeating: event.descriptor, count: 8))
    #expect(throws: Errno.EINVAL) {
      try pair.first.send(([4] as [UInt8]).span.bytes, descriptors: Array(repeating: event.descriptor, count: 9))
    }
    #expect(try pair.second.receive(maximum: 16)?.bytes == [1, 2, 3])
    let packet = try #require(try pair.second.receive(maximum: 16))
    #expect(packet.bytes == [4] && packet.descriptorCount == 8)
    guard let taken = packet.takeDescriptor() else { throw Errno.EBADF }
    #expect(packet.descriptorCount == 7 && synthgate_fcntl(taken.number, F_GETFD, 0) == FD_CLOEXEC)
    event.signal()
    #expect(EventFD(adopting: taken).drain())
    try pair.first.send(([1, 2, 3, 4] as [UInt8]).span.bytes)
    #expect(throws: Errno.EMSGSIZE) { _ = try pair.second.receive(maximum: 3) }
    #expect(pair.second.peerProcess == getpid())
    pair.first.shutdown()
    #expect(try pair.second.receive(maximum: 3) == nil)
    #expect(throws: Errno.EPIPE) { try pair.second.send(([1] as [UInt8]).span.bytes) }
  }

  /// Descriptors of packets that are refused or never looked at do not leak.
  @Test func unusedDescriptorsAreClosed() throws {
    let pair = try PacketSocket.pair()
    let pipe = try LinePipe()
    for maximum in [1, 8] {
      try pair.first.send(([1, 2, 3] as [UInt8]).span.bytes, descriptors: [pipe.reader.number, pipe.reader.number])
      _ = try? pair.second.receive(maximum: maximum)
    }
    // The reading end has one descriptor left: with it gone, writing fails.
    let target = try linkTarget("/proc/self/fd/\(pipe.reader.number)")
    let count = directoryEntries("/proc/self/fd").filter { (try? linkTarget("/proc/self/fd/\($0)")) == target }.count
    #expect(count == 2)
  }

  @Test func packetSocketsAtPaths() throws {
    let path = "/tmp/synthgate-packets-\(getpid())"
    defer { unlink(path) }
    #expect(throws: Errno.ENOENT) { _ = try PacketSocket.connect(to: path) }
    #expect(throws: Errno.ENAMETOOLONG) { _ = try PacketSocket.connect(to: String(repeating: "x", count: 200)) }
    let listener = try PacketSocket.listen(at: path)
    #expect(throws: Errno.EADDRINUSE) { _ = try PacketSocket.listen(at: path) }
    let client = try PacketSocket.connect(to: path)
    let server = try listener.accept()
    try client.send(([7] as [UInt8]).span.bytes)
    #expect(try server.receive(maximum: 9)?.bytes == [7])
    // A peer that does not read makes the sender fail, not wait.
    #expect(throws: Errno.EAGAIN) { while true { try client.send([UInt8](repeating: 0, count: 4096).span.bytes) } }
  }

  @Test func workersAndMonitors() throws {
    let monitor = Monitor(0)
    let threads = try (0..<4).map { number in
      try WorkerThread(name: "a rather long name \(number)") {
        for _ in 0..<1000 { monitor.withLock { $0 += 1 } }
      }
    }
    #expect(monitor.wait(milliseconds: 10_000) { $0 == 4000 ? true : nil } == true)
    for thread in threads { thread.join() }
    let start = monotonicNanoseconds()
    #expect(monitor.wait(milliseconds: 50) { $0 == 1 ? true : nil } == nil)
    let passed = monotonicNanoseconds() - start
    #expect(passed >= 49_000_000 && passed < 5_000_000_000)
    #expect(throws: Errno.EIO) { try monitor.withLock { (_) throws(Errno) in throw Errno.EIO } }
    #expect(monitor.withLock { $0 } == 4000)
  }

  /// Signals go to the threads of the program, never to a worker.
  @Test func workersBlockSignals() throws {
    let found = Monitor<String?>(nil)
    let thread = try WorkerThread(name: "signals") {
      let text = (try? readTextFile("/proc/thread-self/status")) ?? ""
      found.withLock { $0 = text }
    }
    thread.join()
    let text = found.withLock { $0 ?? "" }
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("SigBlk:") })
    let mask = try #require(UInt64(line.split(separator: "\t")[1], radix: 16))
    #expect(mask & 0x7fff_0000 != 0 && mask >> (UInt64(SIGTERM) - 1) & 1 == 1)
    #expect(text.hasPrefix("Name:\tsignals\n"))
  }

  @Test func fileStorage() throws {
    let path = "/tmp/synthgate-storage-\(getpid())"
    defer { unlink(path) }
    let file = try OwnedDescriptor.open(path, flags: O_RDWR | O_CREAT)
    try file.truncate(to: 1 << 20)
    #expect(throws: Errno.EFBIG) { try file.truncate(to: 1 << 63) }
    #expect(throws: Errno.EFBIG) { try file.allocate(.reserve, offset: 1 << 63, byteCount: 4096) }
    #expect(try file.storedByteCount() == 0)
    try file.allocate(.reserve, offset: 0, byteCount: 65536)
    #expect(try file.storedByteCount() >= 65536)
    try writeAll([UInt8](repeating: 1, count: 65536), to: file.number)
    try file.synchronizeData()
    try file.allocate(.punchHole, offset: 0, byteCount: 32768)
    #expect(try seek(file.number, from: 0, toData: true) == 32768)
    #expect(try seek(file.number, from: 32768, toData: false) == 65536)
    #expect(throws: Errno.ENXIO) { _ = try seek(file.number, from: 65536, toData: true) }
    let info = try FileInfo(descriptor: file.number)
    #expect(info.kind == .regular && info.byteCount == 1 << 20)
    #expect(info.directOffsetAlignment == 0 || info.directOffsetAlignment % 512 == 0)
    #expect(throws: Errno.ENODEV) { _ = try BlockQueueLimits(descriptor: file.number) }
    #expect(try canonicalPath("/tmp/../tmp/./synthgate-storage-\(getpid())") == path)
  }

  @Test func locksOfOpenFiles() throws {
    let path = "/tmp/synthgate-locks-\(getpid())"
    defer { unlink(path) }
    let first = try OwnedDescriptor.open(path, flags: O_RDWR | O_CREAT)
    let second = try OwnedDescriptor.open(path, flags: O_RDWR)
    try first.lock(exclusive: false)
    try second.lock(exclusive: false)
    #expect(throws: Errno.EAGAIN) { try first.lock(exclusive: true) }
    try second.unlock()
    #expect(try first.lockHolder(exclusive: true) == nil)
    try first.lock(exclusive: true)
    #expect(try second.lockHolder(exclusive: false) == .openFile)
    #expect(processesWithLockedFile(try canonicalPath(path)).map(\.id) == [getpid()])
    // A second descriptor of the same open file keeps the lock.
    let copy = try first.duplicate()
    close(first.release())
    #expect(throws: Errno.EAGAIN) { try second.lock(exclusive: false) }
    close(copy.release())
    try second.lock(exclusive: true)
    try second.advisoryLock(exclusive: true)
    let third = try OwnedDescriptor.open(path, flags: O_RDWR)
    #expect(throws: Errno.EAGAIN) { try third.advisoryLock(exclusive: false) }
  }

  @Test func whatAStreamHasPending() throws {
    let (one, other) = try StreamSocket.pair()
    #expect(one.pending == .nothing)
    #expect(synthgate_stream_write(other.descriptor, "ab", 2) == 2)
    #expect(one.pending == .bytes && one.pending == .bytes)
    other.shutdown()
    #expect(one.pending == .bytes, "what was sent before the end comes first")
    var bytes: [UInt8] = [0, 0]
    #expect(synthgate_stream_read(one.descriptor, &bytes, 2) == 2)
    #expect(one.pending == .end)
  }
}
