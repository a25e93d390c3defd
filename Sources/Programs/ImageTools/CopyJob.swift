import Block
import DiskImage
import LinuxIO
import Synchronization

/// What the threads of a conversion share: which part of the disk comes next, and what went wrong.
final class CopyJob: Sendable {
  let input: any OpenedImage
  let output: any OpenedImage
  let byteCount: UInt64
  /// Signalled when a thread ends.
  let event: EventFD
  /// Length of the part that a thread takes at once.
  private let stripeByteCount: UInt64
  private let nextStripe = Atomic<UInt64>(0)
  private let done = Atomic<UInt64>(0)
  private let copied = Atomic<UInt64>(0)
  private let endedThreads = Atomic<Int>(0)
  private let isStopped = Atomic<Bool>(false)
  private let firstFailure = Mutex<Failure?>(nil)

  struct Failure: Sendable {
    var error: BlockError
    /// Which image failed; nil when somebody has stopped the job.
    var side: String?
  }

  init(_ input: any OpenedImage, _ output: any OpenedImage) throws(Errno) {
    self.input = input
    self.output = output
    byteCount = input.info.byteCount
    // Long enough that holes are passed over fast, short enough that all threads have some.
    stripeByteCount = max(64 << 20, byteCount / (4096 << 20) << 20)
    event = try EventFD()
  }

  var doneByteCount: UInt64 { min(byteCount, done.load(ordering: .relaxed)) }
  var copiedByteCount: UInt64 { copied.load(ordering: .relaxed) }
  var failure: Failure? { firstFailure.withLock { $0 } }
  var isRunning: Bool { !isStopped.load(ordering: .relaxed) }

  func hasEnded(_ threadCount: Int) -> Bool { endedThreads.load(ordering: .acquiring) == threadCount }

  func stop(_ error: BlockError, side: String? = nil) {
    firstFailure.withLock { if $0 == nil { $0 = Failure(error: error, side: side) } }
    isStopped.store(true, ordering: .relaxed)
  }

  /// The next part of the disk; nil when there is none.
  func takeStripe() -> Range<UInt64>? {
    guard isRunning else { return nil }
    let start = nextStripe.wrappingAdd(stripeByteCount, ordering: .relaxed).oldValue
    return start < byteCount ? start..<min(start + stripeByteCount, byteCount) : nil
  }

  func note(done count: UInt64) { done.wrappingAdd(count, ordering: .relaxed) }
  func note(copied count: UInt64) { copied.wrappingAdd(count, ordering: .relaxed) }

  /// The life of one thread.
  func work() {
    do throws(BlockError) {
      let worker = try CopyWorker(self)
      worker.work()
      worker.close()
    } catch {
      stop(error, side: "a queue")
    }
    endedThreads.wrappingAdd(1, ordering: .releasing)
    event.signal()
  }
}
