public import Ethernet
import SharedMemory

/// The end of an inbox where frames come out, for one thread.
public final class InboxReader {
  /// The inbox.
  public let inbox: FrameInbox

  private var position: UInt64 = 0
  private var tables = ScatterTables(count: 1)
  private var isPrepared = false

  init(_ inbox: FrameInbox) {
    self.inbox = inbox
  }

  /// Readable when a producer has woken the reader that slept.
  public var readinessDescriptor: Int32 { inbox.signal.descriptor }

  /// Whether a frame is there.
  public var hasFrame: Bool {
    inbox.sequence(inbox.index(position)).loadAcquiring() == inbox.lap(position) &+ 1
  }

  /// The first frame, lent until `removeFirst`; nil when there is none.
  public func first() -> LentFrame? {
    guard hasFrame else { return nil }
    let index = inbox.index(position)
    let cell = InboxCell(loading: inbox.header(index))
    let bytes = tables.list(of: inbox.frameMemory(index).slice(at: 0, count: cell.byteCount), slot: 0)
    return LentFrame(
      bytes: bytes, headerByteCount: min(cell.byteCount, LentFrame.copiedHeaderByteCount), offload: cell.offload)
  }

  /// Gives the cell of the first frame back to the producers.
  public func removeFirst() {
    inbox.sequence(inbox.index(position)).storeReleasing(inbox.lap(position) &+ 2)
    position &+= 1
  }

  /// Removes all frames that are there, at most `capacity`; answers how many.
  @discardableResult
  public func discardAll() -> Int {
    var count = 0
    while count < inbox.capacity, hasFrame {
      removeFirst()
      count += 1
    }
    return count
  }

  /// To be called before the reader sleeps on `readinessDescriptor`; true when a frame is there already.
  public func prepareToWait() -> Bool {
    isPrepared = true
    inbox.signal.prepareToSleep()
    return hasFrame
  }

  /// To be called when the reader is awake again.
  public func finishWait() {
    guard isPrepared else { return }
    isPrepared = false
    inbox.signal.finishSleep()
  }
}
