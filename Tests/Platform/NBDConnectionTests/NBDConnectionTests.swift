import LinuxIO
import NBDConnection
import NBDSupport
import SharedMemory
import Testing

@Suite(.serialized) struct NBDConnectionTests {
  @Test func commandsOfEachKind() throws {
    let bench = try Bench()
    let server = try bench.nbdkit("memory", "1M")
    defer { server.kill() }
    let connection = try bench.connect()
    #expect(connection.export.byteCount == 1 << 20)
    #expect(connection.export.canFlush && connection.export.canForceUnitAccess && connection.export.canTrim)
    #expect(connection.export.canZero && connection.export.canBlockStatus && !connection.export.isReadOnly)
    #expect(connection.descriptor >= 0 && connection.direction.input && !connection.direction.output)
    #expect(connection.takeCompletion() == nil)

    let source = bench.memory.slice.slice(at: 0, count: 8192)
    source.fill(0xab)
    try connection.submit(.write, tag: 3, memory: source, offset: 4096, byteCount: 8192, flags: .forceUnitAccess)
    let written = try #require(connection.awaitCompletion())
    #expect(written.tag == 3 && written.error == nil)
    let target = bench.memory.slice.slice(at: 65536, count: 16384)
    target.fill(0xee)
    try connection.submit(.read, tag: 0, memory: target, offset: 0, byteCount: 16384)
    let read = try #require(connection.awaitCompletion())
    #expect(read.tag == 0 && read.error == nil)
    let expected =
      [UInt8](repeating: 0, count: 4096) + [UInt8](repeating: 0xab, count: 8192)
      + [UInt8](repeating: 0, count: 4096)
    #expect(target.bytes() == expected)

    try connection.submit(.zero, tag: 15, offset: 4096, byteCount: 4096, flags: .keepStorage)
    try connection.submit(.trim, tag: 1, offset: 512 << 10, byteCount: 4096)
    try connection.submit(.flush, tag: 2, offset: 0, byteCount: 0)
    var tags: Set<Int> = []
    for _ in 0..<3 {
      let end = try #require(connection.awaitCompletion())
      #expect(end.error == nil)
      tags.insert(end.tag)
    }
    #expect(tags == [15, 1, 2])
    try connection.submit(.blockStatus, tag: 4, offset: 64 << 10, byteCount: 512 << 10)
    let status = try #require(connection.awaitCompletion())
    #expect(status.error == nil && status.extentByteCount > 0 && status.isZero && status.isHole)
    try connection.submit(.read, tag: 0, memory: target, offset: 0, byteCount: 16384)
    #expect(connection.awaitCompletion()?.error == nil)
    #expect(target.slice(at: 0, count: 8192).bytes() == [UInt8](repeating: 0, count: 8192))
    connection.disconnect(milliseconds: 5000)
    #expect(!connection.isAlive && connection.descriptor == -1)
    #expect(throws: Errno.ENOTCONN) { try connection.submit(.flush, tag: 0, offset: 0, byteCount: 0) }
  }

  @Test func limitsOfTheServer() throws {
    let bench = try Bench()
    let server = try bench.nbdkit(
      "--filter=blocksize-policy", "memory", "1M", "blocksize-minimum=4096", "blocksize-preferred=8192",
      "blocksize-maximum=65536")
    defer { server.kill() }
    let export = try bench.connect().export
    #expect(export.minimumBlockByteCount == 4096 && export.preferredBlockByteCount == 8192)
    #expect(export.maximumPayloadByteCount == 65536)
    let bare = try Bench()
    let other = try bare.nbdkit("memory", "1M")
    defer { other.kill() }
    #expect(try bare.connect().export.minimumBlockByteCount == 0)
  }

  @Test func errorsOfTheServerKeepTheConnection() throws {
    let bench = try Bench()
    let server = try bench.nbdkit("--filter=error", "memory", "1M", "error-pread=EIO", "error-pread-rate=100%")
    defer { server.kill() }
    let connection = try bench.connect()
    let target = bench.memory.slice.slice(at: 0, count: 512)
    for tag in 0..<3 {
      try connection.submit(.read, tag: tag, memory: target, offset: 0, byteCount: 512)
      let end = try #require(connection.awaitCompletion())
      #expect(end.error == .EIO && end.tag == tag)
    }
    #expect(connection.isAlive)
  }

  @Test func nobodyThere() throws {
    let bench = try Bench()
    #expect(nbdError { () throws(NBDError) in _ = try bench.connect() }?.errno == .ENOENT)
    // The socket of a server that was killed stays.
    let server = try bench.nbdkit("null", "1M")
    server.kill()
    #expect(isSocketFile(bench.socket))
    #expect(nbdError { () throws(NBDError) in _ = try bench.connect() }?.errno == .ECONNREFUSED)
    let refused = nbdError { () throws(NBDError) in
      _ = try bench.connect(NBDEndpoint(.tcp(host: "127.0.0.1", port: 1)))
    }
    #expect(refused?.errno == .ECONNREFUSED && refused?.step == .connection)
  }

  @Test func exportThatIsNotThere() throws {
    let bench = try Bench()
    let server = try bench.nbdkit("--filter=exportname", "null", "1M", "exportname-strict=true", "exportname=a")
    defer { server.kill() }
    var endpoint = bench.endpoint
    endpoint.exportName = "b"
    let error = nbdError { () throws(NBDError) in _ = try bench.connect(endpoint) }
    #expect(error?.step == .export, "\(String(describing: error))")
    endpoint.exportName = "a"
    #expect(try bench.connect(endpoint).export.byteCount == 1 << 20)
  }

  /// A server that never greets, and one that nobody waits for any more.
  @Test func time() throws {
    let bench = try Bench()
    let listener = try StreamListener(at: bench.socket)
    let start = monotonicNanoseconds()
    let late = nbdError { () throws(NBDError) in _ = try bench.connect(milliseconds: 200) }
    #expect(late?.step == .time)
    let cancel = try EventFD()
    cancel.signal()
    let cancelled = nbdError { () throws(NBDError) in
      _ = try NBDConnection(to: bench.endpoint, depth: 1, milliseconds: 10_000, cancel: cancel.descriptor)
    }
    #expect(cancelled?.step == .cancelled)
    #expect(monotonicNanoseconds() - start < 5_000_000_000)
    withExtendedLifetime(listener) {}
  }

  @Test func killedServer() throws {
    let bench = try Bench()
    let server = try bench.nbdkit("--filter=delay", "memory", "1M", "rdelay=10")
    let connection = try bench.connect()
    let target = bench.memory.slice.slice(at: 0, count: 4096)
    for tag in 0..<3 { try connection.submit(.read, tag: tag, memory: target, offset: 0, byteCount: 4096) }
    connection.progress()
    #expect(connection.isAlive && connection.takeCompletion() == nil)
    server.kill()
    var tags: Set<Int> = []
    for _ in 0..<3 {
      let end = try #require(connection.awaitCompletion())
      #expect(end.error == .ENOTCONN)
      tags.insert(end.tag)
    }
    #expect(tags == [0, 1, 2] && !connection.isAlive && connection.takeCompletion() == nil)
  }
}
