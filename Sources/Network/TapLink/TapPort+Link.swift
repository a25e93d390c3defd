public import Ethernet
import LinuxIO
public import NetlinkRoute
import Synchronization

extension TapPort {
  /// How the link is now, as the kernel has told.
  public var state: LinkState { watcher.state }

  /// Has `body` called after each change of `state`, whoever made it, on a thread of the port, until the port is closed;
  /// only one observer at a time. The observer must not close the port.
  public func observeLink(_ body: @escaping @Sendable (LinkState) -> Void) {
    watcher.observeLink(body)
  }

  /// Says whether the medium is connected; it shows as long as a queue is in use.
  public func setCarrier(_ isOn: Bool) throws(TapError) {
    try use.withLock { use throws(TapError) in
      if use.isClosed { throw .lost }
      use.wantsCarrier = isOn
      do throws(Errno) {
        try applyCarrier(&use)
      } catch {
        throw error == .EBADFD ? .lost : .system(what: "switch the carrier", error)
      }
    }
  }

  /// Sets the MTU, in bytes.
  public func setMTU(_ mtu: Int) throws(TapError) {
    var change = LinkChange()
    change.mtu = mtu
    do {
      try route.change(index, change)
    } catch {
      if error.errno == .EINVAL || error.errno == .ERANGE { throw .invalidMTU(mtu) }
      throw TapError(error)
    }
    watcher.update { $0.mtu = mtu }
  }

  /// Sets the hardware address.
  public func setAddress(_ address: MACAddress) throws(TapError) {
    var change = LinkChange()
    change.hardwareAddress = address.bytes
    guard address.isUsable else { throw .invalidHardwareAddress(address) }
    do {
      try route.change(index, change)
    } catch {
      if error.errno == .EADDRNOTAVAIL || error.errno == .EINVAL { throw .invalidHardwareAddress(address) }
      throw TapError(error)
    }
    watcher.update { $0.address = address }
  }

  /// Brings the link up or down, as an administrator would. Down takes its routes and IPv6 addresses away.
  public func setUp(_ isUp: Bool) throws(TapError) {
    var change = LinkChange()
    change.isUp = isUp
    try apply(change)
    watcher.update { $0.isUp = isUp }
  }

  /// The longest packet that the kernel leaves uncut, in bytes.
  public func setMaximumSegmentation(byteCount: UInt32) throws(TapError) {
    var change = LinkChange()
    change.maximumSegmentationByteCount = byteCount
    try apply(change)
  }

  /// Sets the description that administrators see.
  public func setAlias(_ alias: String) throws(TapError) {
    var change = LinkChange()
    change.alias = alias
    try apply(change)
  }

  private func apply(_ change: LinkChange) throws(TapError) {
    if change == LinkChange() { return }
    do { try route.change(index, change) } catch { throw TapError(error) }
  }

  /// Gives the link the addresses and routes of its options, as far as it does not have them: after it was down, for
  /// example.
  public func addAddressesAndRoutes() throws(TapError) {
    for address in options.addresses { try addAddress(address) }
    // A gateway may be reached over a route without one.
    for route in options.routes where route.gateway == nil { try addRoute(route) }
    for route in options.routes where route.gateway != nil { try addRoute(route) }
  }

  /// Gives the link one more address.
  public func addAddress(_ address: IPNetwork) throws(TapError) {
    guard !address.address.isMulticast, !address.address.isUnspecified else {
      throw .invalidAddress(
        address, NetlinkError(operation: "add address \(address)", errno: .EADDRNOTAVAIL, detail: nil))
    }
    do {
      try route.addAddress(address, to: index)
    } catch {
      switch error.errno {
      case .EINVAL, .EADDRNOTAVAIL: throw .invalidAddress(address, error)
      default: throw TapError(error)
      }
    }
  }

  /// Adds a route over the link.
  public func addRoute(_ wanted: IPRoute) throws(TapError) {
    do {
      try route.addRoute(wanted, over: index)
    } catch {
      switch error.errno {
      case .ENETUNREACH, .EHOSTUNREACH: throw .unreachableGateway(wanted)
      case .EEXIST: throw .routeTaken(wanted)
      default: throw TapError(error)
      }
    }
  }

  /// The addresses of the link, the kernel's own included.
  public func addresses() throws(TapError) -> [IPNetwork] {
    do { return try route.addresses(of: index) } catch { throw TapError(error) }
  }

  /// Takes the link away, with all that belongs to it; queues that are still in use end. A second call does nothing.
  /// Without the privilege to delete it, it goes with the last queue.
  public func close() {
    let isFirst = use.withLock { use in
      let isFirst = !use.isClosed
      use.isClosed = true
      use.devices = []
      return isFirst
    }
    guard isFirst else { return }
    watcher.stop()
    // A link that was moved away keeps its queues, but its number may be somebody else's here.
    if watcher.state.isGone { return }
    watcher.update { $0.isGone = true }
    // Without the privilege, and without queues in use, it is gone already: its descriptors are closed.
    try? route.deleteLink(index)
  }

  /// The set-up of a new link, in the order in which each step can rely on those before it.
  func configure() throws(TapError) {
    if let address = options.address { try setAddress(address) }
    if let mtu = options.mtu { try setMTU(mtu) }
    var change = LinkChange()
    change.transmitQueueLength = options.transmitQueueLength
    change.alias = options.alias
    change.maximumSegmentationByteCount = options.maximumSegmentationByteCount
    try apply(change)
    if options.isUp { try setUp(true) }
    try addAddressesAndRoutes()
  }
}
