import Ethernet
import LinuxIO
import SharedMemory
import Synchronization
import WireBytes

/// A port with one queue that brings the same frame again and again, or takes whatever comes, without a system call: what
/// is left is what the parts between two such ports cost.
final class PulsePort: EthernetPort {
  /// What the queues of the port do.
  struct Plan: Sendable {
    var frame: [UInt8]
    var offload: FrameOffload
    /// Frames at once.
    var batchCount: Int
  }

  private let plan: Plan
  /// Whether a few looks of the owner in a row that found nothing end the queue.
  fileprivate let endsWhenIdle: Bool
  /// How many frames are still to come.
  let left = Atomic<Int>(0)
  /// How many frames were taken.
  let taken = Atomic<Int>(0)
  /// Looks of the owner in a row that found nothing.
  let idleCount = Atomic<Int>(0)

  init(_ plan: Plan, endsWhenIdle: Bool) {
    self.plan = plan
    self.endsWhenIdle = endsWhenIdle
  }

  var info: EthernetPortInfo { EthernetPortInfo() }
  var maximumQueueCount: Int { 1 }

  func makeQueue() throws(EthernetError) -> any EthernetQueue {
    do throws(Errno) { return try PulseQueue(self, plan) } catch { throw .system(what: "pulse", error) }
  }
}

/// The queue of a `PulsePort`.
private final class PulseQueue: EthernetQueue {
  private let port: PulsePort
  private let plan: PulsePort.Plan
  private let memory: MemoryRegion
  private let event: EventFD
  private var frameTable = ScatterTables(count: 1)
  private var roomTable = ScatterTables(count: 1)
  private var takenCount = 0
  private static let roomOffset = 128 * 1024

  init(_ port: PulsePort, _ plan: PulsePort.Plan) throws(Errno) {
    self.port = port
    self.plan = plan
    memory = try MemoryRegion(anonymous: 2 * Self.roomOffset)
    event = try EventFD()
    memory.slice.copyIn(plan.frame.rawSpan)
  }

  var readinessDescriptor: Int32 { event.descriptor }
  var isEnded: Bool { port.endsWhenIdle && port.idleCount.load(ordering: .relaxed) >= 3 }
  func close() {}
  func flush() {}

  func prepareToWait(forRoom: Bool) -> Bool {
    port.idleCount.add(1, ordering: .relaxed)
    return port.endsWhenIdle
  }

  func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    let left = port.left.load(ordering: .relaxed)
    let count = min(left, limit, plan.batchCount)
    var done = 0
    var isBlocked = false
    let byteCount = plan.frame.count
    while done < count {
      let bytes = frameTable.list(of: memory.slice.slice(at: 0, count: byteCount), slot: 0)
      guard let room = sink.reserve() else {
        isBlocked = true
        break
      }
      // As a TAP does: into the room of the sink.
      room.bytes.copyIn(bytes)
      sink.commit(start: 0, byteCount: byteCount, offload: plan.offload)
      done += 1
    }
    if done > 0 {
      port.left.store(left - done, ordering: .relaxed)
      port.idleCount.store(0, ordering: .relaxed)
    }
    return ForwardResult(frameCount: done, isBlocked: isBlocked)
  }

  func send(_ frame: LentFrame) -> Bool {
    take()
    return true
  }

  func reserve() -> FrameRoom? {
    FrameRoom(bytes: roomTable.list(of: memory.slice.dropFirst(Self.roomOffset), slot: 0))
  }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) { take() }

  private func take() {
    takenCount += 1
    port.taken.store(takenCount, ordering: .relaxed)
  }
}
