import TestVectors
import Ethernet
import LinuxIO
import SharedMemory

/// Takes frames in either way and keeps copies of them.
final class CollectingSink: EthernetSink {
  private let memory: MemoryRegion
  private var table = ScatterTable(capacity: 1)
  private let take: ([UInt8], FrameOffload) -> Void

  init(_ take: @escaping ([UInt8], FrameOffload) -> Void) throws(Errno) {
    memory = try MemoryRegion(anonymous: FrameRoom.maximumFrameByteCount + 64)
    self.take = take
    _ = table.append(memory.slice)
  }

  func send(_ frame: LentFrame) -> Bool {
    take(frame.bytes.copied, frame.offload)
    return true
  }

  func reserve() -> FrameRoom? { FrameRoom(bytes: table.list) }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    take(memory.slice.slice(at: start, count: byteCount).bytes(), offload)
  }

  func flush() {}
}

/// Frame `number` of a stream that both ends know.
struct NumberedFrame {
  var bytes: [UInt8]
  var offload: FrameOffload

  init(_ number: Int, seed: UInt64) {
    var random = SeededGenerator(seed: seed &+ UInt64(number) &* 77)
    let byteCount = number % 50 == 49 ? random.number(30_000...65_549) : random.number(14...1600)
    bytes = random.bytes(byteCount)
    offload = FrameOffload()
    if random.bool() { offload.vlan = UInt16(random.number(0...0xffff)) }
    if random.bool() { offload.flowHash = UInt32(random.number(0...0xffff_ffff)) }
    switch random.number(0...3) {
    case 0: offload.checksum = .verified
    case 1: offload.checksum = .partial(start: UInt16(random.number(14...90)), offset: 16)
    case 2:
      offload.checksum = .partial(start: 54, offset: 16)
      offload.segmentation =
        random.bool()
        ? .tcp4(segmentByteCount: 1460, headerByteCount: 74) : .tcp6(segmentByteCount: 1440, headerByteCount: 94)
    default: break
    }
  }
}

/// Sends a stream of numbered frames into a queue while it checks the stream that comes out; its own thread runs it.
final class Station {
  private let queue: any EthernetQueue
  private let sendSeed: UInt64
  private let receiveSeed: UInt64
  private let count: Int
  private(set) var sent = 0
  private(set) var received = 0
  private(set) var firstWrong: Int?

  init(_ queue: any EthernetQueue, sendSeed: UInt64, receiveSeed: UInt64, count: Int) {
    self.queue = queue
    self.sendSeed = sendSeed
    self.receiveSeed = receiveSeed
    self.count = count
  }

  /// Runs until all frames have gone both ways; false when `seconds` were not enough.
  func run(seconds: Int) throws -> Bool {
    let sink = try CollectingSink { [self] bytes, offload in
      let expected = NumberedFrame(received, seed: receiveSeed)
      if firstWrong == nil, bytes != expected.bytes || offload != expected.offload { firstWrong = received }
      received += 1
    }
    let deadline = monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
    while sent < count || received < count {
      guard monotonicNanoseconds() < deadline else { return false }
      var moved = 0
      var isFull = false
      while sent < count, moved < 16 {
        let frame = NumberedFrame(sent, seed: sendSeed)
        let lent = try LentBytes(frame.bytes, firstByteCount: 128, pieceByteCount: 900)
        guard lent.send(frame.offload, to: queue) else {
          isFull = true
          break
        }
        sent += 1
        moved += 1
      }
      queue.flush()
      moved += queue.forward(to: sink, limit: 16).frameCount
      if moved == 0, !queue.prepareToWait(forRoom: isFull) {
        _ = waitForInput([queue.readinessDescriptor], milliseconds: 500)
      }
    }
    return true
  }
}
