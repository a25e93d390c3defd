public import Ethernet
import LinuxIO

/// What is behind a switch, as one more member beside its ports.
public enum SwitchUplink: Sendable {
  /// Nothing: the ports talk among themselves.
  case none
  /// A port with several queues, such as a TAP. Each queue of a switch port owns one of them, as long as there are some.
  case queued(any EthernetPort)
  /// A port with one queue, such as a stream socket. A thread of the switch owns it.
  case threaded(any EthernetPort)
  /// A station inside the switch, which answers on the thread that sends to it.
  case responder(any FrameResponder)
}

/// A station without a queue: it answers each frame at once.
public protocol FrameResponder: AnyObject, Sendable {
  /// The address of the station.
  var address: MACAddress { get }

  /// Answers a frame. Called by any thread, with private memory.
  ///
  /// - Parameters:
  ///   - frame: the bytes, without FCS and without the tag that `offload` tells.
  ///   - reply: called with each frame that the station sends, during the call.
  func respond(to frame: RawSpan, offload: FrameOffload, reply: (_ frame: RawSpan, _ offload: FrameOffload) -> Void)
}

/// How a switch works.
public struct SwitchOptions: Sendable {
  /// Drops what a port sends from an address other than its own; a port without an address may send from any.
  public var preventsSpoofing = false
  /// How long a station is remembered that is not heard, in seconds.
  public var ageingSeconds: UInt64 = 300
  /// How many stations are remembered.
  public var addressCapacity = 4096
  /// How many frames wait in front of each queue of a port; more are dropped. Each takes 68 KiB of address space, and as
  /// much memory as the longest frame that was in its place.
  public var inboxCapacity = 256
  /// The most queues of a port.
  public var maximumQueueCount = 64
  /// Now, in seconds of a clock that never goes back.
  public var clock: @Sendable () -> UInt64 = { monotonicSeconds() }

  /// The usual.
  public init() {}
}

/// What a switch did not pass on, in frames, and what it learned.
public struct SwitchCounters: Hashable, Sendable {
  /// Too short, too long, or from an address that no station has.
  public var malformed: UInt64 = 0
  /// From an address other than that of the port.
  public var spoofed: UInt64 = 0
  /// The inbox of the receiver was full.
  public var inboxFull: UInt64 = 0
  /// The receiver's filter refuses them.
  public var filtered: UInt64 = 0
  /// No queue of the uplink took them.
  public var uplinkFull: UInt64 = 0
  /// Stations that changed their place.
  public var moves: UInt64 = 0
}
