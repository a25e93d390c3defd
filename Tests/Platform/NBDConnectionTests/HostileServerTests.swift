import LinuxIO
import NBDConnection
import NBDSupport
import SharedMemory
import Testing

/// Servers that break the protocol: an error, never a crash or a hang.
@Suite(.serialized) struct HostileServerTests {
  private func withServer(
    _ change: (inout ScriptedServer.Script) -> Void, _ body: (Bench, ScriptedServer) throws -> Void
  ) throws {
    let bench = try Bench()
    var script = ScriptedServer.Script()
    change(&script)
    let server = try ScriptedServer(at: bench.socket, script)
    defer { server.stop() }
    try body(bench, server)
  }

  @Test(arguments: [true, false]) func properServer(isStructured: Bool) throws {
    try withServer({ $0.isStructured = isStructured }) { bench, server in
      let connection = try bench.connect()
      #expect(connection.export.canBlockStatus == isStructured)
      let memory = bench.memory.slice.slice(at: 0, count: 4096)
      memory.fill(7)
      try connection.submit(.write, tag: 0, memory: memory, offset: 4096, byteCount: 4096)
      #expect(connection.awaitCompletion()?.error == nil)
      memory.fill(0)
      try connection.submit(.read, tag: 0, memory: memory, offset: 4096, byteCount: 4096)
      #expect(connection.awaitCompletion()?.error == nil)
      #expect(memory.bytes() == [UInt8](repeating: 7, count: 4096))
      #expect(server.disk[4096..<8192].allSatisfy { $0 == 7 })
    }
  }

  @Test func greetingsOfGarbage() throws {
    var random = SystemRandomNumberGenerator()
    let starts = [[], Array("NBDMAGIC".utf8), Array("NBDMAGICIHAVEOPT".utf8) + [0, 3]]
    for round in 0..<60 {
      let noise = (0..<Int.random(in: 0...64, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      let greeting = starts[round % 3] + noise
      try withServer({ $0.greeting = greeting }) { bench, _ in
        let error = nbdError { () throws(NBDError) in _ = try bench.connect(milliseconds: 2000) }
        #expect(error != nil, "\(greeting)")
      }
    }
  }

  @Test func impossibleSize() throws {
    try withServer({ $0.byteCount = 1 << 20 }) { bench, server in
      server.setScript { $0.byteCount = 1 << 63 }
      #expect(nbdError { () throws(NBDError) in _ = try bench.connect() } != nil)
    }
  }

  struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// Whether the connection lives on.
    var survives = false
    let response: @Sendable (ScriptedServer.Request) -> ScriptedServer.Response
  }

  static let cases = [
    Case(testDescription: "unknown cookie") { .bytes(ScriptedServer.simple($0.cookie &+ 99, 0)) },
    Case(testDescription: "wrong magic") { _ in .bytes([UInt8](repeating: 0x5a, count: 64)) },
    Case(testDescription: "simple reply with data to a structured read") {
      .bytes(ScriptedServer.simple($0.cookie, 0) + [UInt8](repeating: 1, count: Int($0.length)))
    },
    Case(testDescription: "data behind the end") {
      .bytes(
        ScriptedServer.chunk(
          $0.cookie, type: 1, isLast: true, bigEndian($0.offset + 1) + [UInt8](repeating: 1, count: Int($0.length))))
    },
    Case(testDescription: "data far before the start") {
      .bytes(
        ScriptedServer.chunk($0.cookie, type: 1, isLast: true, bigEndian(UInt64.max - 7) + [1, 2, 3, 4, 5, 6, 7, 8]))
    },
    Case(testDescription: "too little data", survives: true) {
      .bytes(ScriptedServer.chunk($0.cookie, type: 1, isLast: true, bigEndian($0.offset) + [1, 2, 3]))
    },
    Case(testDescription: "an end without data", survives: true) {
      .bytes(ScriptedServer.chunk($0.cookie, type: 0, isLast: true, []))
    },
    Case(testDescription: "a hole without end") {
      .bytes(
        ScriptedServer.chunk(
          $0.cookie, type: 2, isLast: true, bigEndian($0.offset) + bigEndian(UInt32.max)))
    },
    Case(testDescription: "block status instead of data") {
      .bytes(
        ScriptedServer.chunk(
          $0.cookie, type: 5, isLast: true, bigEndian(UInt32(1)) + bigEndian(UInt32(512)) + bigEndian(UInt32(3))))
    },
    Case(testDescription: "a chunk of 4 GiB") {
      .bytes(
        bigEndian(UInt32(0x668e_33ef)) + bigEndian(UInt16(1)) + bigEndian(UInt16(1)) + bigEndian($0.cookie)
          + bigEndian(UInt32.max))
    },
    Case(testDescription: "an unknown chunk") {
      .bytes(ScriptedServer.chunk($0.cookie, type: 77, isLast: true, [1]))
    },
    Case(testDescription: "an error without a number", survives: true) {
      .bytes(ScriptedServer.chunk($0.cookie, type: 0x8001, isLast: true, bigEndian(UInt32(0)) + bigEndian(UInt16(0))))
    },
    Case(testDescription: "a simple error to a structured read") { _ in .error(0xffff_ffff) },
    Case(testDescription: "half an answer") {
      .bytes(
        Array(ScriptedServer.chunk($0.cookie, type: 1, isLast: true, []).prefix(13)) + [UInt8](repeating: 9, count: 40))
    },
    Case(testDescription: "the end of the connection") { _ in .end },
  ]

  @Test(arguments: cases) func answersOfAllKinds(_ test: Case) throws {
    try withServer({ $0.response = test.response }) { bench, _ in
      let connection = try bench.connect()
      let target = bench.memory.slice.slice(at: 0, count: 4096)
      try connection.submit(.read, tag: 5, memory: target, offset: 8192, byteCount: 4096)
      let end = try #require(connection.awaitCompletion())
      #expect(end.tag == 5 && end.error != nil)
      #expect(connection.isAlive == test.survives, "\(connection.problem)")
      // What lies behind the memory of the request is as it was.
      #expect(bench.memory.slice.slice(at: 4096, count: 4096).bytes().allSatisfy { $0 == 0 })
    }
  }

  @Test func extentsThatAreTooLong() throws {
    try withServer({
      $0.response = {
        .bytes(
          ScriptedServer.chunk(
            $0.cookie, type: 5, isLast: true, bigEndian(UInt32(1)) + bigEndian(UInt32.max) + bigEndian(UInt32(3))))
      }
    }) { bench, _ in
      let connection = try bench.connect()
      try connection.submit(.blockStatus, tag: 0, offset: 0, byteCount: 4096)
      let end = try #require(connection.awaitCompletion())
      #expect(end.extentByteCount == UInt64(UInt32.max), "it is told as it came; who uses it checks it")
    }
  }

  /// Random bytes of random lengths as answers, and an end of the connection at some time.
  @Test func noise() throws {
    for seed in 0..<30 {
      try withServer({
        $0.response = { request in
          var state = UInt64(seed * 1000 + request.number)
          func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
          }
          switch next() % 4 {
          case 0: return .proper
          case 1: return .end
          case 2: return .bytes((0..<next() % 200).map { _ in UInt8(truncatingIfNeeded: next()) })
          default:
            let payload = (0..<next() % 64).map { _ in UInt8(truncatingIfNeeded: next()) }
            return .bytes(
              ScriptedServer.chunk(request.cookie, type: UInt16(next() % 6), isLast: next() % 2 == 0, payload))
          }
        }
      }) { bench, _ in
        let connection = try bench.connect()
        let target = bench.memory.slice.slice(at: 0, count: 4096)
        for tag in 0..<8 {
          guard (try? connection.submit(.read, tag: tag, memory: target, offset: 0, byteCount: 4096)) != nil else {
            break
          }
        }
        let end = monotonicNanoseconds() + 100_000_000
        while connection.isAlive, monotonicNanoseconds() < end {
          connection.wait(milliseconds: 5)
          connection.progress()
          while connection.takeCompletion() != nil {}
        }
      }
    }
  }
}
