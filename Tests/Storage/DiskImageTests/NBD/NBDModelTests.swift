import Block
@testable import DiskImage
import LinuxIO
import NBDSupport
import Synchronization
import Testing

/// Random requests, many at a time, over one connection and over four.
@Suite(.serialized) struct NBDModelTests {
  // Over one connection for qcow2: with four qemu-nbd 7.2 damages its tables now and then (docs/images.md).
  @Test(arguments: [("qcow2", "unmap", 1), ("raw", "unmap", 4)])
  func agreesWithAnArray(format: String, discard: String, connections: Int) throws {
    let bench = try NBDBench()
    let image = bench.scratch.directory + "/disk.\(format)"
    let byteCount = 32 << 20
    try run("/usr/bin/qemu-img", "create", "-q", "-f", format, image, "\(byteCount)")
    let server = try bench.qemu(image, format: format, "--discard=\(discard)")
    let models = Mutex<[Int: [UInt8]]>([:])
    let failures = LogLines()
    do {
      let disk = try bench.open(bench.options(connections: connections))
      #expect(disk.maximumQueueCount == connections)
      let part = byteCount / connections
      let threads = try (0..<connections).map { index in
        try WorkerThread(name: "model \(index)") {
          do {
            var model = try NBDModel(
              disk, range: index * part..<(index + 1) * part, depth: 64, seed: UInt64(index * 7 + connections))
            if let failure = model.run(connections == 1 ? 3000 : 2500) { failures.append(failure) }
            model.deep.queue.close()
            models.withLock { $0[index] = model.model }
          } catch { failures.append("\(error)") }
        }
      }
      for thread in threads { thread.join() }
      #expect(failures.all == [] && bench.lines.all == [])
      try disk.close()
    }
    server.kill()
    // What another program sees afterwards.
    let raw = bench.scratch.directory + "/model.raw"
    let file = try OwnedDescriptor.open(raw, flags: 0o101)
    for index in 0..<connections { try writeAll(models.withLock { $0[index] ?? [] }, to: file.number) }
    if format == "qcow2" { try run("/usr/bin/qemu-img", "check", "-q", image) }
    try run("/usr/bin/qemu-img", "compare", "-f", format, "-F", "raw", image, raw)
  }

  /// With TLS what the server has sent can lie decrypted in the library while the socket is not readable.
  @Test func encrypted() throws {
    let bench = try NBDBench()
    let keys = bench.scratch.directory + "/keys.psk"
    try run("/usr/bin/psktool", "-u", "alice", "-p", keys)
    let server = try bench.nbdkit(
      "--tls=require", "--tls-psk=\(keys)", "file", try bench.scratch.file(byteCount: 8 << 20))
    defer { server.kill() }
    var options = bench.options(connections: 1)
    options.cache = .direct
    let disk = try bench.open(options, uri: "nbds+unix://alice@/?socket=\(bench.socket)&tls-psk-file=\(keys)")
    #expect(disk.export.isEncrypted)
    var model = try NBDModel(disk, range: 0..<(8 << 20), depth: 64, seed: 9)
    #expect(model.run(1000) == nil && bench.lines.all == [])
    server.kill()
    try server.start()
    #expect(model.run(200) == nil && bench.lines.count(of: "is back") == 1)
    model.deep.queue.close()
    try disk.close()
  }

  /// A server that takes only some clients: as many queues as it takes, and no waiting for the others.
  @Test func serverWithFewClients() throws {
    let bench = try NBDBench()
    let path = try bench.scratch.file(byteCount: 1 << 20)
    let server = try NBDServer(
      ["qemu-nbd", "-t", "-e", "2", "-f", "raw", "-k", bench.socket, path], place: bench.socket,
      log: bench.scratch.directory + "/log")
    defer { server.kill() }
    let start = monotonicNanoseconds()
    let disk = try bench.open()
    #expect(monotonicNanoseconds() - start < 3_000_000_000)
    #expect(disk.maximumQueueCount == 2)
    let queues = try (0..<2).map { _ in try TestQueue(disk) }
    #expect(throws: BlockError.busy) { _ = try disk.makeQueue(depth: 1) }
    for (index, queue) in queues.enumerated() {
      #expect(queue.write([UInt8](repeating: UInt8(index), count: 512), UInt64(index * 512)) == nil)
    }
    #expect(queues[0].read(512, 512).0.allSatisfy { $0 == 1 })
    for queue in queues { queue.queue.close() }
    // A connection that was given back serves the next queue.
    let again = try TestQueue(disk)
    #expect(again.read(512, 512).1 == nil)
    again.queue.close()
    try disk.close()
  }
}
