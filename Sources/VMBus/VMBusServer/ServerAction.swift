public import VMBusProtocol

/// Names a device of the server, for its whole life.
public struct DeviceKey: Hashable, Sendable {
  let number: UInt64

  /// The device of this number; `VMBusServer` hands the numbers out.
  public init(number: UInt64) {
    self.number = number
  }
}

/// Names one opening of a channel, over all connections of a guest; relids are used again, these are not.
public struct ChannelKey: Hashable, Sendable {
  let number: UInt64

  /// The opening of this number; `ServerConnection` counts them from 1.
  public init(number: UInt64) {
    self.number = number
  }
}

/// Names one page list (GPADL), over all connections of a guest; the numbers that the guest gives are used again, these
/// are not.
public struct GPADLKey: Hashable, Sendable {
  let number: UInt64

  /// The list of this number; `ServerConnection` counts them.
  public init(number: UInt64) {
    self.number = number
  }
}

/// A page list that devices may map.
public struct PublishedGPADL: Sendable, Equatable {
  /// Names the list.
  public let key: GPADLKey
  /// Its number in this connection.
  public let gpadl: UInt32
  /// The device on whose channel it was announced.
  public let device: DeviceKey
  /// The pages.
  public let ranges: [GPADLRange]
}

/// What `ServerConnection` wants done, in this order.
public enum ServerAction: Sendable, Equatable {
  /// Send these bytes of a control message to the guest.
  case send([UInt8])
  /// Throw away control messages that wait to be sent.
  case discardQueue
  /// Make the host's end of a channel, and report with `openFinished`.
  case open(ChannelOpening)
  /// Close the host's end, let go of its rings, and report with `closeFinished`.
  case close(ChannelKey)
  /// From now on the guest wants the signals of a channel at another virtual processor.
  case retarget(ChannelKey, vp: UInt32)
  /// From now on devices may map the list.
  case publish(PublishedGPADL)
  /// From now on no device maps the list; report with `withdrawn` when none has it mapped any more.
  case withdraw(GPADLKey)
  /// The guest has connected.
  case connected(ProtocolVersion, MonitorPageAddresses)
  /// Everything of the guest's connection is released.
  case disconnected
  /// A message was dropped, for this reason.
  case dropped(String)
}

/// A channel that a guest opens, checked as far as it can be without looking into memory.
public struct ChannelOpening: Sendable, Equatable {
  /// Names the opening.
  public let key: ChannelKey
  /// The device.
  public let device: DeviceKey
  /// Number of the channel in this connection.
  public let relid: UInt32
  /// 0 for the primary channel, else the sub-channel's index.
  public let subChannelIndex: Int
  /// The pages of the rings.
  public let rings: RingPairPages
  /// The virtual processor that the guest wants signalled; nil: it wants no signals at all.
  public let targetVP: UInt32?
  /// The monitor id by which the guest rings, if it has one.
  public let monitorID: UInt8?
}

/// What a server knows of a device to offer it.
public struct DeviceDescription: Sendable, Equatable {
  /// Class of the device.
  public var interfaceClass: GUID
  /// Instance of the device.
  public var instance: GUID
  /// Flags of its offers.
  public var flags: OfferFlags
  /// The device's own part of its offers.
  public var userDefined: [UInt8]

  /// A device.
  public init(interfaceClass: GUID, instance: GUID, flags: OfferFlags = [], userDefined: [UInt8] = []) {
    self.interfaceClass = interfaceClass
    self.instance = instance
    self.flags = flags
    self.userDefined = userDefined
  }
}

/// What one guest may use of its host, and what the host offers.
public struct ServerLimits: Sendable {
  /// The most GPADLs at a time.
  public var gpadlCount = 1024
  /// The most pages of all GPADLs together: 1280 MiB, what Hyper-V is said to allow.
  public var gpadlPageCount = 327_680
  /// The most sub-channels of a device.
  public var subChannelCount = 64
  /// The versions that are accepted.
  public var versions: [ProtocolVersion] = ProtocolVersion.offered
  /// Whether offers get monitor ids, as far as there are any and the guest gave the pages.
  public var allocatesMonitors = false

  /// The default limits.
  public init() {}
}
