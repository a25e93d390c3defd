import Ethernet
import LinuxIO

/// What one channel has done: words that its thread adds to and anybody may read. "Sent" is what the guest sent.
final class NetvspCounters: Sendable {
  let sent = FrameCounters()
  let received = FrameCounters()
  let sendErrors = Counter()
  let receiveErrors = Counter()
  let sendDiscards = Counter()
  let receiveDiscards = Counter()
  let receiveNoBuffer = Counter()
  let strayCompletions = Counter()
}

/// Frames of one direction, by the kind of their destination.
final class FrameCounters: Sendable {
  let frames = Counter()
  let bytes = Counter()
  let multicastFrames = Counter()
  let multicastBytes = Counter()
  let broadcastFrames = Counter()
  let broadcastBytes = Counter()

  @inline(__always)
  func count(_ destination: UInt64, byteCount: Int) {
    frames.add(1)
    bytes.add(UInt64(byteCount))
    guard destination & 0x0100_0000_0000 != 0 else { return }
    if destination == MACAddress.broadcast.value {
      broadcastFrames.add(1)
      broadcastBytes.add(UInt64(byteCount))
    } else {
      multicastFrames.add(1)
      multicastBytes.add(UInt64(byteCount))
    }
  }
}

/// What the channels of a guest have done so far.
public struct NetvspStatistics: Sendable, Equatable {
  /// Frames of one direction.
  public struct Frames: Sendable, Equatable {
    /// All frames; one that is to be cut, or was coalesced, counts once.
    public var frames: UInt64 = 0
    /// Their bytes.
    public var bytes: UInt64 = 0
    /// Frames to groups, broadcasts not counted.
    public var multicastFrames: UInt64 = 0
    /// Their bytes.
    public var multicastBytes: UInt64 = 0
    /// Frames to all.
    public var broadcastFrames: UInt64 = 0
    /// Their bytes.
    public var broadcastBytes: UInt64 = 0

    /// Frames to one station.
    public var directedFrames: UInt64 { frames &- multicastFrames &- broadcastFrames }
    /// Their bytes.
    public var directedBytes: UInt64 { bytes &- multicastBytes &- broadcastBytes }

    mutating func add(_ counters: FrameCounters) {
      frames &+= counters.frames.value
      bytes &+= counters.bytes.value
      multicastFrames &+= counters.multicastFrames.value
      multicastBytes &+= counters.multicastBytes.value
      broadcastFrames &+= counters.broadcastFrames.value
      broadcastBytes &+= counters.broadcastBytes.value
    }
  }

  /// From the guest.
  public var sent = Frames()
  /// To the guest.
  public var received = Frames()
  /// Messages of the guest that were malformed.
  public var sendErrors: UInt64 = 0
  /// Frames to the guest that were malformed or too long.
  public var receiveErrors: UInt64 = 0
  /// Frames of the guest that came after it had halted.
  public var sendDiscards: UInt64 = 0
  /// Frames that came while the guest wanted none.
  public var receiveDiscards: UInt64 = 0
  /// Times that no receive buffer was free.
  public var receiveNoBuffer: UInt64 = 0
  /// Receive completions for buffers of another channel.
  public var strayCompletions: UInt64 = 0

  mutating func add(_ counters: NetvspCounters) {
    sent.add(counters.sent)
    received.add(counters.received)
    sendErrors &+= counters.sendErrors.value
    receiveErrors &+= counters.receiveErrors.value
    sendDiscards &+= counters.sendDiscards.value
    receiveDiscards &+= counters.receiveDiscards.value
    receiveNoBuffer &+= counters.receiveNoBuffer.value
    strayCompletions &+= counters.strayCompletions.value
  }
}
