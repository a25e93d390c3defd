import Ethernet
import LinuxIO
import SharedMemory
import Synchronization
import WireBytes

/// A frame as bytes of its own.
struct TestFrame: Equatable, Sendable {
  var bytes: [UInt8]
  var offload = FrameOffload.plain

  /// A frame of type 0x88b5 (for experiments) that carries `text`.
  static func from(_ source: MACAddress, to destination: MACAddress, _ text: String = "") -> TestFrame {
    ethernet(from: source, to: destination, type: 0x88b5, Array(text.utf8))
  }

  static func ethernet(
    from source: MACAddress, to destination: MACAddress, type: UInt16, _ payload: [UInt8]
  ) -> TestFrame {
    let address = { (address: MACAddress) in (0..<6).map { address[$0] } }
    return TestFrame(
      bytes: address(destination) + address(source) + [UInt8(type >> 8), UInt8(type & 255)] + payload)
  }

  /// A UDP frame, for its flow.
  static func flow(from source: MACAddress, to destination: MACAddress, port: UInt16, number: Int = 0) -> TestFrame {
    let packet = [UInt8](zeroed: 36) { bytes in
      bytes.storeBE(UInt32(0x4500_0024), at: 0)
      bytes.storeBE(UInt8(17), at: 9)
      bytes.storeBE(UInt32(0x0a4d_0002), at: 12)
      bytes.storeBE(UInt32(0x0a4d_0003), at: 16)
      bytes.storeBE(port, at: 20)
      bytes.storeBE(UInt16(5000), at: 22)
      bytes.storeBE(UInt32(number), at: 28)
    }
    return ethernet(from: source, to: destination, type: 0x0800, packet)
  }

  var text: String { String(decoding: bytes.dropFirst(14), as: UTF8.self) }

  /// Lends the frame, in two pieces of which the first has `split` bytes.
  func lend<R>(split: Int = 128, _ body: (LentFrame) -> R) -> R {
    let region = try! MemoryRegion(anonymous: bytes.count + 8192)
    let first = min(split, bytes.count)
    region.slice.copyIn(bytes.rawSpan.extracting(0..<first))
    region.slice.copyIn(bytes.rawSpan.extracting(first..<bytes.count), at: 4096)
    var table = ScatterTable(capacity: 2)
    _ = table.append(region.slice.slice(at: 0, count: first))
    _ = table.append(region.slice.slice(at: 4096, count: bytes.count - first))
    let result = body(LentFrame(bytes: table.list, headerByteCount: first, offload: offload))
    withExtendedLifetime(region) {}
    return result
  }

  /// Sends the frame and flushes; whether it was taken.
  @discardableResult
  func send(to sink: any EthernetSink) -> Bool {
    let isTaken = lend { sink.send($0) }
    sink.flush()
    return isTaken
  }
}

extension LentFrame {
  var copy: TestFrame {
    TestFrame(bytes: (0..<bytes.count).flatMap { bytes[$0].bytes() }, offload: offload)
  }
}

func mac(_ number: UInt64) -> MACAddress { MACAddress(value: 0x0200_0000_0000 | number) }

/// A NIC: takes frames, as many as it has room for.
final class TestSink: EthernetSink {
  var frames: [TestFrame] = []
  var capacity = Int.max
  var flushCount = 0
  /// How many frames were put into its room.
  var commitCount = 0
  private let region = try! MemoryRegion(anonymous: FrameRoom.maximumFrameByteCount + 64)
  private var tables = ScatterTables(count: 1)

  var texts: [String] { frames.map(\.text) }

  func send(_ frame: LentFrame) -> Bool {
    guard frames.count < capacity else { return false }
    frames.append(frame.copy)
    return true
  }

  func reserve() -> FrameRoom? {
    frames.count < capacity ? FrameRoom(bytes: tables.list(of: region.slice, slot: 0)) : nil
  }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    commitCount += 1
    frames.append(TestFrame(bytes: region.slice.slice(at: start, count: byteCount).bytes(), offload: offload))
  }

  func flush() { flushCount += 1 }

  /// The frames that came since the last call, as their texts.
  func take() -> [String] {
    defer { frames = [] }
    return texts
  }
}

extension EthernetQueue {
  /// Moves all that is there.
  func drain(to sink: any EthernetSink) {
    while true {
      let result = forward(to: sink, limit: 64)
      sink.flush()
      if result.frameCount == 0 { return }
    }
  }
}
