public import Ethernet
public import NetvscProtocol
import Synchronization
public import VMBusChannel
public import VMBusProtocol

/// A synthetic network interface of a host: one guest may open it at a time.
///
/// Frames go between the guest and `port`, whose queue k the channel k of the guest owns.
public final class SyntheticNIC: HostDevice {
  /// What the guest is told about its link.
  struct Link: Equatable, Sendable {
    var isConnected: Bool
    var bitsPerSecond: UInt64
    /// How often the network behind the link became another one.
    var networkChangeCount = 0
  }

  /// The class of network interfaces.
  public var interfaceClass: GUID { .network }
  /// The instance of this NIC; guests derive names from it.
  public let instance: GUID
  /// Nothing: the user data of a NIC's offer are zeros.
  public var userDefined: [UInt8] { [] }
  /// No flags.
  public var offerFlags: OfferFlags { [] }
  /// The permanent address.
  public let address: MACAddress
  /// Where frames of the guest go, and come from.
  public let port: any EthernetPort
  /// What the NIC offers.
  public let options: SyntheticNICOptions

  private let state = Mutex(State())

  private struct State {
    var isConnected = true
    var bitsPerSecond: UInt64?
    var networkChangeCount = 0
    var session: NICSession?
  }

  /// A NIC in front of `port`, whose observer it becomes.
  public init(
    instance: GUID, address: MACAddress, port: any EthernetPort, options: SyntheticNICOptions = SyntheticNICOptions()
  ) {
    self.instance = instance
    self.address = address
    self.port = port
    self.options = options.clamped
    port.observe { [weak self] in self?.linkChanged() }
  }

  // MARK: The link

  /// Connects the cable, or pulls it out. The guest sees a link only while the port has a carrier, too.
  public func setMediaConnected(_ isConnected: Bool) {
    state.withLock { $0.isConnected = isConnected }
    linkChanged()
  }

  /// Tells the guest another speed, in bit/s; nil: that of the options, or of the port.
  public func setLinkSpeed(_ bitsPerSecond: UInt64?) {
    state.withLock { $0.bitsPerSecond = bitsPerSecond }
    linkChanged()
  }

  /// Tells the guest that another network is behind the link: it renews its addresses.
  public func networkChange() {
    state.withLock { $0.networkChangeCount += 1 }
    linkChanged()
  }

  var link: Link {
    let info = port.info
    return state.withLock { state in
      Link(
        isConnected: state.isConnected && info.hasCarrier,
        bitsPerSecond: state.bitsPerSecond ?? options.bitsPerSecond ?? info.bitsPerSecond,
        networkChangeCount: state.networkChangeCount)
    }
  }

  private func linkChanged() {
    state.withLock { $0.session }?.noteLink()
  }

  // MARK: Guests

  /// The guest that has the NIC open.
  public struct SessionStatus: Sendable, Equatable {
    /// The guest.
    public var guestID: UInt64
    /// The protocol version once RNDIS is initialized.
    public var version: NVSPVersion?
    /// Its open channels.
    public var channelCount: Int
    /// The address that it uses.
    public var address: MACAddress
    /// Which frames it wants.
    public var filter: PacketFilter
    /// The MTU that it has chosen, in bytes.
    public var mtu: Int
    /// Whether long frames go to it whole, over IPv4 and over IPv6.
    public var coalesces: (ip4: Bool, ip6: Bool)
    /// What its channels did.
    public var statistics: NetvspStatistics

    /// Whether all of it is the same.
    public static func == (a: SessionStatus, b: SessionStatus) -> Bool {
      a.guestID == b.guestID && a.version == b.version && a.channelCount == b.channelCount && a.address == b.address
        && a.filter == b.filter && a.mtu == b.mtu && a.coalesces == b.coalesces && a.statistics == b.statistics
    }
  }

  /// The guest that has the NIC open; nil: none.
  public var session: SessionStatus? {
    state.withLock { $0.session }?.status
  }

  /// The session of a guest.
  ///
  /// - Throws: `.refused` while another guest has the NIC open.
  public func makeSession(for guest: GuestContext) throws(ChannelError) -> any HostDeviceSession {
    let session = NICSession(self, guest)
    let isBusy = state.withLock { state in
      if state.session != nil { return true }
      state.session = session
      return false
    }
    if isBusy { throw .refused(what: "opening a NIC that another guest has open", status: NVSPStatus.busy.rawValue) }
    return session
  }

  func sessionEnded(_ session: NICSession) {
    state.withLock { state in
      if state.session === session { state.session = nil }
    }
  }

  /// The channels that a guest may have.
  var maximumQueueCount: Int { max(1, min(options.maximumQueueCount, port.maximumQueueCount)) }
}
