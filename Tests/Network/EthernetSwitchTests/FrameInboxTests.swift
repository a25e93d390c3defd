import Ethernet
@testable import EthernetSwitch
import LinuxIO
import SharedMemory
import Synchronization
import Testing
import WireBytes

@Suite struct FrameInboxTests {
  @Test func offloadsSurvive() throws {
    let offloads = [
      FrameOffload.plain,
      FrameOffload(checksum: .verified, vlan: 0, flowHash: 0),
      FrameOffload(checksum: .partial(start: 0xffff, offset: 0xfffe), vlan: 0xffff),
      FrameOffload(
        checksum: .partial(start: 34, offset: 16), segmentation: .tcp4(segmentByteCount: 1460, headerByteCount: 54)),
      FrameOffload(
        checksum: .partial(start: 54, offset: 16),
        segmentation: .tcp6(segmentByteCount: .max, headerByteCount: .max), vlan: 0x8001, flowHash: .max),
    ]
    let inbox = try FrameInbox(capacity: 8)
    let reader = inbox.makeReader()
    for (number, offload) in offloads.enumerated() {
      let frame = TestFrame(bytes: (0..<(14 + number * 700)).map { UInt8($0 & 255) }, offload: offload)
      #expect(frame.lend(split: 14 + number) { inbox.push($0) })
    }
    for (number, offload) in offloads.enumerated() {
      let frame = try #require(reader.first())
      #expect(frame.copy == TestFrame(bytes: (0..<(14 + number * 700)).map { UInt8($0 & 255) }, offload: offload))
      #expect(frame.headerByteCount == min(14 + number * 700, 128))
      reader.removeFirst()
    }
    #expect(reader.first() == nil)
  }

  @Test func fullMeansDropped() throws {
    let inbox = try FrameInbox(capacity: 3)
    let reader = inbox.makeReader()
    #expect(inbox.capacity == 4)
    // Many laps, so that words go round.
    for lap in 0..<10 {
      for number in 0..<6 {
        let isTaken = TestFrame.from(mac(1), to: mac(2), "\(lap).\(number)").lend { inbox.push($0) }
        #expect(isTaken == (number < 4))
      }
      #expect(inbox.droppedCount == UInt64(2 * lap + 2))
      for number in 0..<4 {
        #expect(reader.first()?.copy.text == "\(lap).\(number)")
        #expect(reader.first()?.copy.text == "\(lap).\(number)")
        reader.removeFirst()
      }
      #expect(!reader.hasFrame)
    }
  }

  @Test func longestFrameFitsAndLongerIsDropped() throws {
    let inbox = try FrameInbox(capacity: 2)
    let reader = inbox.makeReader()
    let long = TestFrame(bytes: [UInt8](repeating: 7, count: FrameRoom.maximumFrameByteCount))
    #expect(long.lend { inbox.push($0) })
    #expect(reader.first()?.copy == long)
    #expect(!TestFrame(bytes: long.bytes + [1]).lend { inbox.push($0) })
    #expect(!TestFrame(bytes: [UInt8](repeating: 1, count: 13)).lend { inbox.push($0) })
    #expect(inbox.droppedCount == 2)
  }

  /// The headers that were looked at are those that arrive, whatever the room says by then.
  @Test func inspectedHeaderWins() throws {
    let inbox = try FrameInbox(capacity: 2)
    let reader = inbox.makeReader()
    let header = [UInt8](repeating: 1, count: 20)
    TestFrame(bytes: [UInt8](repeating: 9, count: 200)).lend { frame in
      _ = inbox.push(header: header.span.bytes, room: frame.bytes, start: 50, byteCount: 100, offload: .plain)
    }
    #expect(reader.first()?.copy.bytes == header + [UInt8](repeating: 9, count: 80))
  }

  @Test func signalsOnlyASleeper() throws {
    let inbox = try FrameInbox(capacity: 4)
    let reader = inbox.makeReader()
    func isReadable() -> Bool { waitForInput([reader.readinessDescriptor], milliseconds: 0) != 0 }
    TestFrame.from(mac(1), to: mac(2)).lend { _ = inbox.push($0) }
    #expect(!isReadable())
    #expect(reader.prepareToWait())
    reader.finishWait()
    reader.removeFirst()
    #expect(!reader.prepareToWait())
    #expect(!isReadable())
    TestFrame.from(mac(1), to: mac(2)).lend { _ = inbox.push($0) }
    #expect(isReadable())
    reader.finishWait()
    #expect(!isReadable())
    TestFrame.from(mac(1), to: mac(2)).lend { _ = inbox.push($0) }
    #expect(!isReadable())
  }

  /// Several threads push, one sleeps between the frames. Producers retry what was dropped, so that every frame must come
  /// out, in the order of each producer; a wake-up that is missed shows as a wait that ends by time.
  @Test(arguments: [2, 64]) func manyProducers(capacity: Int) throws {
    let inbox = try FrameInbox(capacity: capacity)
    let producerCount = 3
    let frameCount = 4000
    let producers = try (0..<producerCount).map { producer in
      try WorkerThread(name: "producer") {
        var frame = TestFrame(bytes: [UInt8](repeating: UInt8(producer), count: 64))
        for number in 0..<frameCount {
          frame.bytes.withMutableBytes { $0.storeLE(UInt32(number), at: 16) }
          frame.lend { lent in
            while !inbox.push(lent) { sleepThread(nanoseconds: 1000) }
          }
          if number % 97 == 0 { sleepThread(nanoseconds: 50_000) }
        }
      }
    }
    let reader = inbox.makeReader()
    var next = [UInt32](repeating: 0, count: producerCount)
    var total = 0
    var missed = 0
    var bad = 0
    while total < producerCount * frameCount, missed == 0 {
      if let frame = reader.first() {
        let bytes = frame.copy.bytes
        let producer = Int(bytes[0])
        if bytes.count != 64 || bytes.rawSpan.le32(at: 16) != next[producer] { bad += 1 }
        next[producer] += 1
        total += 1
        reader.removeFirst()
      } else if !reader.prepareToWait() {
        if waitForInput([reader.readinessDescriptor], milliseconds: 5000) == 0 { missed += 1 }
        reader.finishWait()
      } else {
        reader.finishWait()
      }
    }
    #expect(missed == 0 && bad == 0 && total == producerCount * frameCount)
    for producer in producers { producer.join() }
  }
}
