import Block
@testable import DiskImage
import LinuxIO
import NBDSupport
import SharedMemory
import Testing

/// Exports of real servers as disks.
@Suite(.serialized) struct NBDImageTests {
  private func filled(_ value: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: value, count: count) }

  /// Everything that a queue can do, on a qcow2 image; another program agrees afterwards.
  @Test func suiteOnQcow2() throws {
    let bench = try NBDBench()
    let image = bench.scratch.directory + "/disk.qcow2"
    try run("/usr/bin/qemu-img", "create", "-q", "-f", "qcow2", image, "64M")
    let server = try bench.qemu(image, format: "qcow2", "--discard=unmap")
    defer { server.kill() }
    do {
      let disk = try bench.open()
      #expect(disk.info.byteCount == 64 << 20 && disk.info.sectorByteCount == 512 && !disk.info.isReadOnly)
      #expect(disk.info.supportsDiscard && !disk.info.discardReadsZero && disk.info.supportsWriteZeroes)
      #expect(disk.info.hasWriteCache && disk.info.requestAlignment == 1 && disk.maximumQueueCount == 4)
      #expect(disk.info.identity != DiskIdentity() && disk.cache == .buffered)
      let queue = try TestQueue(disk)
      #expect(queue.read(0, 4096).0 == filled(0, 4096))
      #expect(queue.write(filled(1, 65536), 4096) == nil)
      #expect(queue.write(filled(2, 512), 1 << 20, flags: .forceUnitAccess) == nil)
      #expect(queue.write(filled(3, 7), 33) == nil, "any offset and length, where the server takes them")
      #expect(queue.range(.writeZeroes, 8192, 4096).error == nil)
      #expect(queue.range(.writeZeroes, 16384, 4096, flags: .mayUnmap).error == nil)
      #expect(queue.range(.discard, 32 << 20, 1 << 20).error == nil)
      #expect(queue.range(.flush).error == nil)
      #expect(queue.read(4096, 16384).0 == filled(1, 4096) + filled(0, 4096) + filled(1, 4096) + filled(0, 4096))
      #expect(queue.read(32, 9).0 == [0, 3, 3, 3, 3, 3, 3, 3, 0])
      #expect(queue.read(64 << 20, 512).1 == .outOfRange && queue.write([1], 64 << 20) == .outOfRange)
      #expect(queue.range(.extent, 40 << 20, 4096).extent == .init(byteCount: 4096, isAllocated: false))
      queue.queue.close()
      try disk.close()
    }
    server.kill()
    try run("/usr/bin/qemu-img", "check", "-q", image)
    try run(
      "/usr/bin/qemu-io", "-r", "-f", "qcow2", "-c", "read -P 1 4096 4096", "-c", "read -P 0 8192 4096", "-c",
      "read -P 2 1M 512", "-c", "read -P 3 33 7", image)
  }

  /// 40 MiB in one request: more than the server takes at once.
  @Test func longTransfers() throws {
    let bench = try NBDBench()
    let server = try bench.qemu(try bench.scratch.file(byteCount: 64 << 20), format: "raw")
    defer { server.kill() }
    let disk = try bench.open()
    let deep = try DeepQueue(disk, depth: 1, byteCount: 40 << 20)
    var table = ScatterTable(capacity: 1)
    _ = table.append(deep.room(0))
    for operation in [BlockOperation.write, .read] {
      deep.room(0).fill(operation == .write ? 0x5a : 0)
      deep.queue.submit(
        BlockRequest(operation, tag: 0, offset: 1 << 20, byteCount: 40 << 20, memory: table.list))
      #expect(deep.await().map(\.error) == [nil])
      #expect(deep.room(0).bytes().allSatisfy { $0 == 0x5a })
    }
    #expect(bench.lines.all.isEmpty, "the connection lives on")
    deep.queue.submit(BlockRequest(.writeZeroes, tag: 0, offset: 0, byteCount: 64 << 20))
    #expect(deep.await().map(\.error) == [nil])
    deep.queue.close()
    let queue = try TestQueue(disk)
    #expect(queue.read(20 << 20, 4096).0 == filled(0, 4096))
    queue.queue.close()
  }

  @Test func blocksOf4096Bytes() throws {
    let bench = try NBDBench()
    let policy = ["blocksize-minimum=4096", "blocksize-preferred=4096", "blocksize-maximum=65536"]
    let server = try bench.nbdkit(
      "--filter=blocksize-policy", "memory", "1M", "blocksize-error-policy=error", policy[0], policy[1], policy[2])
    defer { server.kill() }
    let disk = try bench.open()
    #expect(disk.info.sectorByteCount == 4096 && disk.info.requestAlignment == 4096)
    #expect(disk.info.maximumTransferByteCount == 65536)
    var model = try NBDModel(disk, range: 0..<(1 << 20), depth: 16, seed: 3)
    #expect(model.run(500) == nil)
    #expect(disk.info.byteCount == 1 << 20 && bench.lines.all.isEmpty)
    let tag = try #require(model.deep.takeTag())
    model.deep.queue.submit(BlockRequest(.writeZeroes, tag: tag, offset: 512, byteCount: 4096))
    #expect(model.deep.await().first?.error == .misaligned)
    model.deep.queue.close()
    var options = bench.options()
    options.sectorByteCount = 512
    #expect(bench.failure(options) == .sectorSize(512, needed: 4096))
  }

  @Test func blocksThatAreTooLarge() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit(
      "--filter=blocksize-policy", "memory", "1M", "blocksize-minimum=65536", "blocksize-preferred=65536")
    defer { server.kill() }
    guard case .server(.unfit(let text, let advice))? = bench.failure() else { return #expect(Bool(false)) }
    #expect(text.contains("65536 bytes") && advice.contains("blocksize"))
  }

  /// A server without FUA gets a flush behind each durable write, one without zeros gets zeros.
  @Test func whatTheServerLacks() throws {
    let bench = try NBDBench()
    let log = bench.scratch.directory + "/requests"
    let server = try bench.nbdkit(
      "--filter=log", "--filter=nozero", "--filter=fua", "memory", "1M", "logfile=\(log)")
    defer { server.kill() }
    let disk = try bench.open()
    #expect(disk.info.supportsForceUnitAccess && disk.info.supportsWriteZeroes)
    let queue = try TestQueue(disk)
    #expect(queue.write(filled(7, 4096), 0, flags: .forceUnitAccess) == nil)
    #expect(queue.range(.writeZeroes, 1024, 1024).error == nil)
    #expect(queue.read(0, 4096).0 == filled(7, 1024) + filled(0, 1024) + filled(7, 2048))
    queue.queue.close()
    try disk.close()
    let requests = try readTextFile(log)
    #expect(requests.contains(" Flush ") && !requests.contains(" Zero "), "\(requests)")
    var options = bench.options()
    options.cache = .direct
    guard case .server(.unfit(let text, _))? = bench.failure(options) else { return #expect(Bool(false)) }
    #expect(text.contains("FUA"))
  }

  /// Neither flush nor FUA: nothing could be made durable.
  @Test func serverThatPromisesNothing() throws {
    let bench = try NBDBench()
    var script = ScriptedServer.Script()
    script.flags = 0x61
    let server = try ScriptedServer(at: bench.socket, script)
    defer { server.stop() }
    guard case .server(let problem)? = bench.failure() else { return #expect(Bool(false)) }
    #expect("\(problem)".contains("neither flush nor FUA") && problem.advice == "open it read-only")
    #expect(bench.failure(bench.options(isReadOnly: true)) == nil)
  }

  /// Every write durable: the server sees FUA on each, and no flush.
  @Test func writeThrough() throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    let seen = LogLines()
    server.setScript { script in
      script.response = { request in
        seen.append("\(request.type) \(request.flags)")
        return .proper
      }
    }
    var options = bench.options()
    options.cache = .direct
    let disk = try bench.open(options)
    #expect(!disk.info.hasWriteCache && disk.cache == .direct)
    let queue = try TestQueue(disk)
    #expect(queue.write(filled(1, 512), 0) == nil && queue.range(.writeZeroes, 0, 512).error == nil)
    #expect(queue.range(.flush).error == nil)
    queue.queue.close()
    try disk.close()
    #expect(seen.all == ["1 1", "6 3"])
  }

  /// A server that says it can zero but can't is sent zeros, and not asked again.
  @Test func zerosThatAreRefused() throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    let seen = LogLines()
    server.setScript { script in
      script.response = { request in
        seen.append("\(request.type)")
        return request.type == 6 ? .error(95) : .proper
      }
    }
    let disk = try bench.open()
    let queue = try TestQueue(disk)
    #expect(queue.write(filled(1, 8192), 0) == nil)
    for _ in 0..<2 { #expect(queue.range(.writeZeroes, 0, 4096).error == nil) }
    #expect(queue.read(0, 8192).0 == filled(0, 4096) + filled(1, 4096))
    queue.queue.close()
    #expect(seen.all == ["1", "6", "1", "1", "0"])
  }

  @Test func readOnlyExport() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit("-r", "memory", "1M")
    defer { server.kill() }
    #expect(bench.failure() == .readOnlyStorage)
    let disk = try bench.open(bench.options(isReadOnly: true))
    #expect(disk.info.isReadOnly && !disk.info.supportsDiscard)
    let queue = try TestQueue(disk)
    #expect(queue.write(filled(1, 512), 0) == .readOnly && queue.range(.discard, 0, 512).error == .readOnly)
    #expect(queue.range(.flush).error == nil && queue.read(0, 512).1 == nil)
    queue.queue.close()
  }

  @Test func oddSize() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit("memory", "1000001")
    defer { server.kill() }
    let disk = try bench.open()
    #expect(disk.info.sectorCount == 1953)
    let queue = try TestQueue(disk)
    #expect(queue.write(filled(1, 512), 1952 * 512) == nil && queue.write(filled(1, 512), 1953 * 512) == .outOfRange)
    queue.queue.close()
    let empty = try NBDBench()
    let other = try empty.nbdkit("memory", "0")
    defer { other.kill() }
    #expect(empty.failure() == .empty)
  }

  /// Errors of the medium reach the guest, and the connection stays.
  @Test func errorsOfTheMedium() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit(
      "--filter=error", "memory", "1M", "error-pread=EIO", "error-pread-rate=30%", "error-pwrite=ENOSPC",
      "error-pwrite-rate=30%")
    defer { server.kill() }
    let queue = try TestQueue(try bench.open())
    var ends: [BlockError?] = []
    for _ in 0..<60 {
      ends.append(queue.read(0, 4096).1)
      ends.append(queue.write(filled(1, 4096), 0))
    }
    #expect(ends.contains(.medium) && ends.contains(.noSpace) && ends.contains(nil))
    #expect(ends.allSatisfy { $0 == nil || $0 == .medium || $0 == .noSpace } && bench.lines.all.isEmpty)
    queue.queue.close()
  }

  /// What is a hole agrees with what nbdinfo tells.
  @Test func extents() throws {
    let bench = try NBDBench()
    let image = bench.scratch.directory + "/disk.qcow2"
    try run("/usr/bin/qemu-img", "create", "-q", "-f", "qcow2", image, "64M")
    try run(
      "/usr/bin/qemu-io", "-f", "qcow2", "-c", "write 0 64k", "-c", "write 1M 128k", "-c", "write -z 2M 64k", "-c",
      "write 63M 1M", image)
    let server = try bench.qemu(image, format: "qcow2")
    defer { server.kill() }
    let disk = try bench.open(bench.options(isReadOnly: true))
    let queue = try TestQueue(disk)
    var found: [String] = []
    var position: UInt64 = 0
    while position < disk.info.byteCount {
      let extent = try #require(queue.range(.extent, position).extent)
      // Runs of one state may be told in parts.
      if let last = found.last, last.hasSuffix(" \(extent.isAllocated)") {
        let start = last.split(separator: " ")[0]
        found[found.count - 1] = "\(start) \(position + extent.byteCount) \(extent.isAllocated)"
      } else {
        found.append("\(position) \(position + extent.byteCount) \(extent.isAllocated)")
      }
      position += extent.byteCount
    }
    queue.queue.close()
    var expected: [String] = []
    for line in try run("/usr/bin/nbdinfo", "--map", "nbd+unix:///?socket=\(bench.socket)").split(separator: "\n") {
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      let start = try #require(UInt64(fields[0]))
      let end = start + (try #require(UInt64(fields[1])))
      let isAllocated = UInt32(fields[2])! & 2 == 0
      if let last = expected.last, last.hasSuffix(" \(isAllocated)") {
        expected[expected.count - 1] = "\(last.split(separator: " ")[0]) \(end) \(isAllocated)"
      } else {
        expected.append("\(start) \(end) \(isAllocated)")
      }
    }
    #expect(found == expected && found.count > 4)
  }

  @Test func oneErrorForEachCause() throws {
    let bench = try NBDBench()
    #expect(bench.failure() == .server(.unreachable(.ENOENT)))
    #expect(
      bench.failure(uri: "nbd+unix:///") == .address("the socket is missing; write nbd+unix:///EXPORT?socket=PATH"))
    #expect(bench.failure(uri: "nbd://127.0.0.1:1/") == .server(.unreachable(.ECONNREFUSED)))
    let server = try bench.nbdkit("--filter=exportname", "null", "1M", "exportname-strict=true", "exportname=a")
    defer { server.kill() }
    #expect(bench.failure(uri: "nbd+unix:///b?socket=\(bench.socket)") == .server(.exportMissing("b")))
    var options = bench.options(isReadOnly: true)
    options.format = .vhdx
    guard case .server(.unfit)? = bench.failure(options, uri: "nbd+unix:///a?socket=\(bench.socket)") else {
      return #expect(Bool(false))
    }
    #expect(throws: DiskImageError.remote) { try DiskImage.check("nbd://h/") }
    #expect(throws: DiskImageError.remote) { try DiskImage.resize("nbd://h/", to: 512) }
  }

  @Test func description() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit("memory", "1M")
    defer { server.kill() }
    let told = try DiskImage.describe(bench.uri)
    #expect(told.kind == .nbd && told.diskByteCount == 1 << 20 && told.path == bench.uri)
    #expect(told.features?.contains("flush") == true && told.features?.first == "writable")
  }
}
