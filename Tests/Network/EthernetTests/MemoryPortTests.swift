import Ethernet
import LinuxIO
import Synchronization
import TestVectors
import Testing

@Suite struct MemoryPortTests {
  @Test(arguments: [false, true])
  func reserveAndCommitKeepTheStart(isSplit: Bool) throws {
    let (a, b) = try MemoryPort.pair(MemoryPortOptions(capacity: 2, isSplit: isSplit))
    let (queue, other) = (try a.makeQueue(), try b.makeQueue())
    var got: [([UInt8], FrameOffload)] = []
    let sink = try CollectingSink { got.append(($0, $1)) }
    var random = SeededGenerator(seed: 3)
    for round in 0..<50 {
      let bytes = random.bytes(random.number(14...2000))
      let start = random.number(0...63)
      let room = try #require(queue.reserve()).bytes
      #expect(room[0].byteCount >= FrameRoom.minimumFirstByteCount)
      #expect(room.byteCount >= FrameRoom.maximumFrameByteCount && room.count == (isSplit ? 2 : 1))
      room.copyIn(bytes.span.bytes, at: start)
      queue.commit(start: start, byteCount: bytes.count, offload: FrameOffload(vlan: UInt16(round)))
      #expect(other.forward(to: sink, limit: 8).frameCount == 0)
      queue.flush()
      #expect(other.forward(to: sink, limit: 8) == ForwardResult(frameCount: 1, isBlocked: false))
      #expect(got.last?.0 == bytes && got.last?.1.vlan == UInt16(round))
    }
  }

  @Test func fullAndReadyAgain() throws {
    let (a, b) = try MemoryPort.pair(MemoryPortOptions(capacity: 2))
    let (queue, other) = (try a.makeQueue(), try b.makeQueue())
    let frame = try LentBytes([UInt8](repeating: 1, count: 60))
    #expect(frame.send(.plain, to: queue) && frame.send(.plain, to: queue))
    #expect(!frame.send(.plain, to: queue) && queue.reserve() == nil)
    queue.flush()
    #expect(!queue.prepareToWait(forRoom: true))
    #expect(other.prepareToWait(forRoom: false))
    let sink = try CollectingSink { _, _ in }
    #expect(other.forward(to: sink, limit: 1).frameCount == 1)
    #expect(waitForInput([queue.readinessDescriptor], milliseconds: 0) == 1)
    #expect(frame.send(.plain, to: queue) && !frame.send(.plain, to: queue))
    // A full sink blocks.
    queue.flush()
    #expect(other.forward(to: queue, limit: 8) == ForwardResult(frameCount: 0, isBlocked: true))
  }

  @Test func controlPlane() throws {
    let (a, b) = try MemoryPort.pair()
    let seen = Counted()
    a.observe { seen.count.add(1, ordering: .relaxed) }
    a.setInfo { $0.mtu = 9000 }
    #expect(a.info.mtu == 9000 && b.info.mtu == 1500)
    a.setOffloads(.checksum)
    a.setFilter(EthernetFilter(isPromiscuous: true))
    #expect(a.offloads == .checksum && a.filter.isPromiscuous && b.offloads == [])
    let queue = try b.makeQueue()
    a.end()
    #expect(queue.isEnded && queue.prepareToWait(forRoom: false) && !b.info.hasCarrier)
    #expect(seen.count.load(ordering: .relaxed) == 2)
  }

  private final class Counted: Sendable {
    let count = Atomic<Int>(0)
  }
}
