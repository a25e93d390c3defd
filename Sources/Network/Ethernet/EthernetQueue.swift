public import SharedMemory

/// One queue of an `EthernetPort`, for both directions, owned by one thread.
///
/// Nothing here waits. A frame is moved by the queue where it arrived: a queue whose frames lie in memory lends each to
/// `EthernetSink.send`; a queue whose frames the kernel holds reads them into room that `EthernetSink.reserve` gives. So
/// no frame is copied in user space between a ring and a TAP.
public protocol EthernetQueue: EthernetSink {
  /// Readable when `forward` has something to do, or a sink that was full has room again. Spurious readiness is allowed, a
  /// missing one after `prepareToWait` is not.
  var readinessDescriptor: Int32 { get }

  /// To be called before the owner sleeps on `readinessDescriptor`, after rounds that moved nothing.
  ///
  /// - Parameter forRoom: this queue was full as a sink; wake the owner when there is room again.
  /// - Returns: true when there is something to do already; do not sleep then.
  func prepareToWait(forRoom: Bool) -> Bool

  /// Moves frames that have arrived here to `sink`, at most `limit`, until none is left or the sink is full.
  func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult

  /// Whether the queue is of no use any more: the device behind it is gone. The owner closes it then.
  var isEnded: Bool { get }

  /// Ends the queue; nothing may be called afterwards.
  func close()
}

/// Where frames go to; the same thread uses it that forwards from the other end.
public protocol EthernetSink: AnyObject {
  /// Takes a frame that its owner lends for the duration of the call, in any form of `FrameOffload`.
  ///
  /// - Returns: false when there is no room now and the frame was not taken. A frame that can never be passed on is taken,
  ///   dropped and counted.
  func send(_ frame: LentFrame) -> Bool

  /// Room for one frame, to be filled by the caller and then given to `commit`, or left alone: the next call answers the
  /// same room. Nil when there is none now.
  ///
  /// The first piece holds `FrameRoom.minimumFirstByteCount` bytes at least.
  func reserve() -> FrameRoom?

  /// Sends the frame that was put into the room of the last `reserve`.
  ///
  /// - Parameters:
  ///   - start: where the frame starts in the room, in bytes, below 64: room for a tag that was taken out.
  ///   - byteCount: its length in bytes, without FCS.
  ///   - offload: what is to be done about it; a tag is told here, not in the frame.
  func commit(start: Int, byteCount: Int, offload: FrameOffload)

  /// Makes visible what was sent since the last call: one signal for the batch.
  func flush()
}

/// A frame that lies in memory of its owner, lent for the duration of a call.
public struct LentFrame {
  /// The bytes, without FCS and without the tag that `offload` tells. The first `headerByteCount` lie in one piece of private
  /// memory; the rest may be shared with a peer, and change at any time.
  public var bytes: ScatterList
  /// How many bytes at the start of the first piece nobody else can change: all headers that were looked at. At least 14.
  public var headerByteCount: Int
  /// What is known, or to be done, about the frame.
  public var offload: FrameOffload

  /// How many header bytes owners copy into private memory, where the frame has as many.
  public static let copiedHeaderByteCount = 128

  /// A frame of these pieces.
  public init(bytes: ScatterList, headerByteCount: Int, offload: FrameOffload) {
    self.bytes = bytes
    self.headerByteCount = headerByteCount
    self.offload = offload
  }

  /// Length in bytes.
  public var byteCount: Int { bytes.byteCount }
}

/// Room for one frame.
public struct FrameRoom {
  /// The pieces to be filled from their start.
  public var bytes: ScatterList

  /// The least length of the first piece, in bytes.
  public static let minimumFirstByteCount = 256
  /// The longest frame with segmentation offload, in bytes: 64 KiB of IP packet, Ethernet header and tag.
  public static let maximumFrameByteCount = 65_535 + 18

  /// Room of these pieces.
  public init(bytes: ScatterList) {
    self.bytes = bytes
  }
}

/// How a `forward` ended.
public struct ForwardResult: Hashable, Sendable {
  /// How many frames were moved, or dropped.
  public var frameCount: Int
  /// Whether it stopped because the sink was full.
  public var isBlocked: Bool

  /// A result.
  public init(frameCount: Int, isBlocked: Bool) {
    self.frameCount = frameCount
    self.isBlocked = isBlocked
  }
}
