/// A place where Ethernet frames come and go, with queues in front of it: a TAP, a synthetic NIC, a switch port, a socket.
///
/// The port is control plane and may be used from any thread; its queues belong to one thread each. Two ports are joined
/// by a `Cable`, one thread for each pair of queues.
public protocol EthernetPort: AnyObject, Sendable {
  /// What the port is now.
  var info: EthernetPortInfo { get }

  /// The most queues that work at the same time; at least 1.
  var maximumQueueCount: Int { get }

  /// A new queue, to be used by one thread at a time.
  ///
  /// - Throws: `.busy` when there are `maximumQueueCount` queues already; `.lost`, `.system`.
  func makeQueue() throws(EthernetError) -> any EthernetQueue

  /// Which frames the other end of the cable wants to get. A port that cannot filter ignores it.
  func setFilter(_ filter: EthernetFilter)

  /// What the other end of the cable can take without work in software. The port may still hand out any frame; every
  /// queue finishes in software what it cannot pass on.
  func setOffloads(_ offloads: OffloadSet)

  /// Which of its queues a port that chooses itself hands a frame out at: `choose` gets the first bytes of the frame and
  /// answers the index of a queue, in the order of `makeQueue`. Called by any thread. Nil: the port's own choice.
  func setSteering(_ choose: (@Sendable (_ headers: RawSpan) -> Int)?)

  /// Has `body` called after each change of `info`, on any thread, until the port ends; only one observer at a time.
  func observe(_ body: @escaping @Sendable () -> Void)
}

extension EthernetPort {
  /// Nothing is filtered.
  public func setFilter(_ filter: EthernetFilter) {}
  /// Nothing to be chosen.
  public func setOffloads(_ offloads: OffloadSet) {}
  /// Queues are chosen elsewhere.
  public func setSteering(_ choose: (@Sendable (_ headers: RawSpan) -> Int)?) {}
  /// Nothing changes.
  public func observe(_ body: @escaping @Sendable () -> Void) {}
}

/// What an `EthernetPort` is.
public struct EthernetPortInfo: Hashable, Sendable {
  /// The address of the station behind this port; `.zero` where there are many.
  public var address: MACAddress
  /// The longest payload of a frame in bytes, without the 14 bytes of the Ethernet header and a tag.
  public var mtu: Int
  /// Whether frames can pass: the medium is connected.
  public var hasCarrier: Bool
  /// Nominal speed in bit/s.
  public var bitsPerSecond: UInt64

  /// A port as given; by default without an address, connected, 1500 bytes, 10 Gbit/s.
  public init(
    address: MACAddress = .zero, mtu: Int = 1500, hasCarrier: Bool = true, bitsPerSecond: UInt64 = 10_000_000_000
  ) {
    self.address = address
    self.mtu = mtu
    self.hasCarrier = hasCarrier
    self.bitsPerSecond = bitsPerSecond
  }
}

/// Which frames a station wants to get.
public struct EthernetFilter: Hashable, Sendable {
  /// Frames to `address`.
  public var acceptsDirected: Bool
  /// Frames to every group; otherwise those to `groups`.
  public var acceptsAllMulticast: Bool
  /// Frames to everybody.
  public var acceptsBroadcast: Bool
  /// All frames, whatever else is said.
  public var isPromiscuous: Bool
  /// The address of the station.
  public var address: MACAddress
  /// Groups that it has joined.
  public var groups: Set<MACAddress>

  /// A filter as given; by default nothing passes.
  public init(
    acceptsDirected: Bool = false, acceptsAllMulticast: Bool = false, acceptsBroadcast: Bool = false,
    isPromiscuous: Bool = false, address: MACAddress = .zero, groups: Set<MACAddress> = []
  ) {
    self.acceptsDirected = acceptsDirected
    self.acceptsAllMulticast = acceptsAllMulticast
    self.acceptsBroadcast = acceptsBroadcast
    self.isPromiscuous = isPromiscuous
    self.address = address
    self.groups = groups
  }

  /// Whether a frame to `destination` passes.
  public func accepts(_ destination: MACAddress) -> Bool {
    if isPromiscuous { return true }
    if destination == .broadcast { return acceptsBroadcast }
    if destination.isMulticast { return acceptsAllMulticast || groups.contains(destination) }
    return acceptsDirected && destination == address
  }

  /// Whether nothing passes at all.
  public var isClosed: Bool {
    !isPromiscuous && !acceptsDirected && !acceptsAllMulticast && !acceptsBroadcast && groups.isEmpty
  }
}

/// Forms of unfinished frames.
public struct OffloadSet: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt8
  /// A set of these bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// Frames whose layer-4 checksum is partial.
  public static let checksum = OffloadSet(rawValue: 1)
  /// TCP over IPv4 frames that are to be cut.
  public static let tcp4 = OffloadSet(rawValue: 2)
  /// TCP over IPv6 frames that are to be cut.
  public static let tcp6 = OffloadSet(rawValue: 4)
  /// All of them.
  public static let all: OffloadSet = [.checksum, .tcp4, .tcp6]
}
