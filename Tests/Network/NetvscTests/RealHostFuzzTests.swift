import Ethernet
import Foundation
import LinuxIO
@testable import Netvsc
import SharedMemory
import Support
import Synchronization
import Testing
import VMBusChannel
@testable import VMBusClient

/// Memory that both ends share is changed under either of them: nothing traps, nothing grows, and after a new start frames
/// pass again.
@Suite(.serialized) struct RealHostFuzzTests {
  /// What is changed.
  enum Target: CaseIterable, Sendable {
    /// What the guest writes and the host reads.
    case guestRing, sendBuffer, controlPage
    /// What the host writes and the guest reads.
    case hostRing, receiveBuffer
    /// Everything.
    case all
  }

  /// Pieces of the guest's memory by their use. Rings lie behind what the adapter has allocated before it opened them.
  private static func slices(_ bus: RealBus, _ target: Target) -> [MemorySlice] {
    let memory = bus.adapter.state.withLock { $0.memory }
    let half = bus.setup.ringByteCount
    let start = memory.control.address + UInt64(pageByteCount)
    func ring(_ offset: Int) -> MemorySlice {
      bus.client.memory.slice(at: start + UInt64(offset), byteCount: half)!
    }
    switch target {
    case .guestRing: return [ring(0), ring(2 * half)]
    case .hostRing: return [ring(half), ring(3 * half)]
    case .sendBuffer: return [memory.send.slice]
    case .controlPage: return [memory.control.slice]
    case .receiveBuffer: return [memory.receive.slice]
    case .all: return Target.allCases.dropLast().flatMap { slices(bus, $0) }
    }
  }

  /// Changes a few bytes: most of the time where headers are.
  private static func mutate(_ slices: [MemorySlice], isRing: Bool, _ random: inout Random) {
    let slice = slices[random.below(slices.count)]
    let unit = [64, 128, 1856, 4096, 6144][random.below(5)]
    var offset = random.below(slice.byteCount / unit) * unit + random.below(3) * random.below(160)
    if isRing, random.below(12) == 0 { offset = 4 * random.below(24) }
    guard offset + 16 <= slice.byteCount else { return }
    let values: [UInt64] = [0, 1, 4, 0x7f, 0xffff, 0xffff_ffff, .max, 1 << 31, random.next(), random.next() & 0xff]
    let count = [1, 2, 4, 8][random.below(4)]
    let value = values[random.below(values.count)]
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    slice.copyIn(bytes.rawSpan, at: offset)
  }

  /// A new start. The steps are short, since a host that has found a fault answers none; a busy machine needs another try.
  private static func restart(_ bus: RealBus) throws {
    bus.adapter.close()
    bus.disconnect()
    bus.watched.faults.withLock { $0 = [] }
    for _ in 0..<20 {
      do { return try bus.reopen(bus.currentDevice) } catch ChannelError.timedOut {}
    }
    try bus.reopen(bus.currentDevice)
  }

  @Test(arguments: Target.allCases, [true, false]) func changedUnderTheEnds(
    _ target: Target, _ isEmbedded: Bool
  ) throws {
    var setup = RealBusSetup(isEmbedded: isEmbedded, queueCount: 2, receiveByteCount: 512 << 10)
    setup.ringByteCount = 16 << 10
    setup.stepMilliseconds = 250
    let bus = try RealBus(setup)
    defer { bus.stop() }
    try bus.connect()
    var random = Random(state: 0x1234_5678_9abc_def1 &+ UInt64(Target.allCases.firstIndex(of: target)!))
    var slices = Self.slices(bus, target)
    let isRing = [.guestRing, .hostRing, .all].contains(target)
    let stop = Atomic<Bool>(false)
    let received = Atomic<Int>(0)
    // Whatever comes out is as good as what was put in.
    let stations = try [bus.hostSide, bus.guestSide].flatMap { port in
      try (0..<setup.queueCount).map { index in
        try WorkerThread(name: "fuzz") {
          guard let queue = try? port.makeQueue() else { return }
          let sink = CountingSink()
          var number = 0
          while !stop.load(ordering: .acquiring) {
            for _ in 0..<16 {
              let frame = TrafficFrame(number, seed: UInt64(index), TrafficProfile(longest: 30_000))
              guard (try? queue.lend(frame.bytes, frame.offload)) == true else { break }
              number += 1
            }
            queue.flush()
            let moved = queue.forward(to: sink, limit: 64).frameCount
            received.add(moved, ordering: .relaxed)
            if moved == 0 { sleepThread(nanoseconds: 100_000) }
          }
          queue.close()
        }
      }
    }
    let freePageCount = bus.freePageCount
    var restarts = 0
    // Part of a second of changes; what a new start takes does not count.
    let isLong = ProcessInfo.processInfo.environment["SYNTHGATE_LONG"] == "1"
    var left = isLong ? 10_000_000_000 : 300_000_000
    while left > 0, restarts < (isLong ? 100 : 4) {
      let start = monotonicNanoseconds()
      for _ in 0..<(1 + random.below(4)) { Self.mutate(slices, isRing: isRing, &random) }
      sleepThread(nanoseconds: 20_000 + random.below(200_000))
      left -= Int(monotonicNanoseconds() - start)
      let isBroken = bus.adapter.isLost || !bus.watched.faults.withLock { $0 }.isEmpty
      guard isBroken || random.below(2_000) == 0 else { continue }
      restarts += 1
      try Self.restart(bus)
      slices = Self.slices(bus, target)
    }
    // A ring that is changed at random is soon found to be none.
    #expect(!isRing || restarts > 0)
    // What waits in the ports is of no interest; afterwards everything works.
    try Self.restart(bus)
    // No page of the guest stayed with the host.
    #expect(bus.freePageCount == freePageCount)
    let count = received.load(ordering: .relaxed)
    #expect(settled { received.load(ordering: .relaxed) > count + 200 })
    stop.store(true, ordering: .releasing)
    for station in stations { station.join() }
    #expect(bus.adapter.faultDescription == nil)
  }
}

private final class CountingSink: EthernetSink {
  func send(_ frame: LentFrame) -> Bool { true }
  func reserve() -> FrameRoom? { nil }
  func commit(start: Int, byteCount: Int, offload: FrameOffload) {}
  func flush() {}
}
