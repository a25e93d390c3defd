import Ethernet
import LinuxIO
import SharedMemory
import WireBytes

/// A thread that moves frames between two queues until it ends.
final class Joint: Sendable {
  private let thread: WorkerThread
  private let stop: EventFD

  init(_ first: any EthernetPort, _ second: any EthernetPort) throws {
    let stop = try EventFD()
    self.stop = stop
    thread = try WorkerThread(name: "joint") {
      guard let a = try? first.makeQueue(), let b = try? second.makeQueue() else { return }
      while !a.isEnded, !b.isEnded {
        let moved = a.forward(to: b, limit: 64).frameCount + b.forward(to: a, limit: 64).frameCount
        a.flush()
        b.flush()
        if moved > 0 { continue }
        _ = a.prepareToWait(forRoom: false)
        _ = b.prepareToWait(forRoom: false)
        let ready = waitForInput([a.readinessDescriptor, b.readinessDescriptor, stop.descriptor], milliseconds: -1)
        if ready & 4 != 0 { break }
      }
      a.close()
      b.close()
    }
  }

  func end() {
    stop.signal()
    thread.join()
  }
}

/// A sink that keeps what it gets.
final class CollectingSink: EthernetSink {
  struct Frame {
    var bytes: [UInt8]
    var offload: FrameOffload
  }

  var frames: [Frame] = []
  private let memory: MemoryRegion
  private var table = ScatterTable(capacity: 4)

  /// Room of pieces of these lengths.
  init(_ pieces: [Int] = [256, 70_000]) throws {
    memory = try MemoryRegion(anonymous: pieces.reduce(0) { $0 + $1 + 64 })
    var offset = 0
    for count in pieces {
      _ = table.append(memory.slice.slice(at: offset, count: count))
      // A gap, so that the pieces stay apart.
      offset += count + 64
    }
  }

  func send(_ frame: LentFrame) -> Bool {
    var bytes = [UInt8](repeating: 0, count: frame.byteCount)
    bytes.withMutableBytes { frame.bytes.copyOut(into: &$0) }
    frames.append(Frame(bytes: bytes, offload: frame.offload))
    return true
  }

  func reserve() -> FrameRoom? { FrameRoom(bytes: table.list) }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    bytes.withMutableBytes { table.list.copyOut(from: start, into: &$0) }
    frames.append(Frame(bytes: bytes, offload: offload))
  }

  func flush() {}
}

/// Lends a frame of private memory to a sink.
func lend(_ bytes: [UInt8], to sink: any EthernetSink, _ offload: FrameOffload = .plain) throws -> Bool {
  let memory = try MemoryRegion(anonymous: bytes.count)
  memory.slice.copyIn(bytes.rawSpan)
  var table = ScatterTable(capacity: 2)
  _ = table.append(memory.slice.slice(at: 0, count: bytes.count))
  return withExtendedLifetime(memory) {
    sink.send(LentFrame(bytes: table.list, headerByteCount: min(128, bytes.count), offload: offload))
  }
}

/// Frames for tests.
enum TestFrame {
  static let addresses: [UInt8] = [2, 0, 0, 0, 0, 0xaa, 2, 0, 0, 0, 0, 0xbb]

  /// A frame of an experimental type.
  static func plain(count: Int = 60) -> [UInt8] {
    addresses + [0x88, 0xb5] + (14..<count).map { UInt8(truncatingIfNeeded: $0) }
  }

  /// A UDP packet over IPv4 without Ethernet header, whose checksum field has the seed, or the whole checksum.
  static func udp(count: Int = 30, isPartial: Bool) -> [UInt8] {
    var packet = [UInt8](zeroed: 28 + count) { bytes in
      bytes.storeBE(UInt16(0x4500), at: 0)
      bytes.storeBE(UInt16(28 + count), at: 2)
      bytes.storeBE(UInt16(0x4011), at: 8)
      bytes.storeBE(UInt32(0x0a4d_0001), at: 12)
      bytes.storeBE(UInt32(0x0a4d_0002), at: 16)
      bytes.storeBE(UInt32(0x1234_5678), at: 20)
      bytes.storeBE(UInt16(8 + count), at: 24)
      for index in 0..<count { bytes.storeBE(UInt8(truncatingIfNeeded: index * 7), at: 28 + index) }
      let header = ~InternetChecksum.sum(bytes.bytes, 0..<20)
      bytes.storeBE(header, at: 10)
    }
    let addresses = InternetChecksum.sum(packet.rawSpan, 12..<20)
    let seed = InternetChecksum.fold(UInt64(addresses) + 17 + UInt64(8 + count))
    packet.withMutableBytes { $0.storeBE(seed, at: 26) }
    if !isPartial {
      let whole = ~InternetChecksum.sum(packet.rawSpan, 20..<packet.count)
      packet.withMutableBytes { $0.storeBE(whole, at: 26) }
    }
    return packet
  }
}
