public import VMBusProtocol

/// A device that a host offers: what a virtualization service provider (VSP) is to the bus.
public protocol HostDevice: AnyObject, Sendable {
  /// Class of the device.
  var interfaceClass: GUID { get }
  /// Instance of the device, stable over restarts of the host.
  var instance: GUID { get }
  /// 120 bytes or fewer of the offer that are the device's own.
  var userDefined: [UInt8] { get }
  /// Flags of the offer.
  var offerFlags: OfferFlags { get }

  /// A guest opens the device: the state of the device towards this guest, from the opening of the primary channel until
  /// that is closed.
  ///
  /// - Throws: `.refused` when the guest can't have the device.
  func makeSession(for guest: GuestContext) throws(ChannelError) -> any HostDeviceSession
}

/// What a device knows of the guest that opened it.
public struct GuestContext: Sendable {
  /// Names the guest among those of this host: the nexus of reservations.
  public let guestID: UInt64
  /// The guest's memory.
  public let memory: GuestMemory
  /// Offers `count` sub-channels (in all) of the device to the guest; from any thread, returns at once.
  public let offerSubChannels: @Sendable (_ count: Int) -> Void
  /// Maps a page list that the guest has announced on a channel of the device; from any thread.
  ///
  /// Throws `.protocolFault` for a list that is not there, belongs to another device, or is no single range of whole
  /// pages; `.system` when it can't be mapped.
  public let mapGPADL: @Sendable (_ gpadl: UInt32) throws(ChannelError) -> GPADLMapping

  /// A guest; by default without page lists.
  public init(
    guestID: UInt64, memory: GuestMemory, offerSubChannels: @escaping @Sendable (_ count: Int) -> Void,
    mapGPADL: @escaping @Sendable (_ gpadl: UInt32) throws(ChannelError) -> GPADLMapping = {
      gpadl throws(ChannelError) in throw .protocolFault("no GPADL \(gpadl)")
    }
  ) {
    self.guestID = guestID
    self.memory = memory
    self.offerSubChannels = offerSubChannels
    self.mapGPADL = mapGPADL
  }
}

/// A device towards one guest.
public protocol HostDeviceSession: AnyObject, Sendable {
  /// Takes the host's end of a channel that the guest has opened.
  ///
  /// - Parameters:
  ///   - channel: the open channel; from now on it belongs to the thread that runs the endpoint.
  ///   - index: 0 for the primary channel, else the sub-channel index.
  /// - Throws: any `ChannelError`; the guest then gets a failed OPEN_CHANNEL_RESULT.
  func openEndpoint(on channel: Channel, index: Int) throws(ChannelError) -> any HostEndpoint

  /// All endpoints are closed: the guest has closed the device, or is gone.
  func end()
}

/// The host's end of one open channel. It belongs to one thread: a worker of the server, or inline the guest's own.
public protocol HostEndpoint: AnyObject {
  /// Readable when the endpoint has something to do that is not in the ring: finished I/O, a notice to be sent.
  var readinessDescriptor: Int32 { get }

  /// Does everything that can be done now: takes packets, starts I/O, answers finished I/O, flushes the channel. Answers
  /// whether anything was done. Never waits. After a fault of the guest it stays silent and `fault` tells why.
  @discardableResult
  func run() -> Bool

  /// The fault of the guest that ended the service on this channel.
  var fault: ChannelError? { get }

  /// Waits for outstanding I/O, then lets go of the rings and of the guest's memory. On the owning thread.
  func close()
}
