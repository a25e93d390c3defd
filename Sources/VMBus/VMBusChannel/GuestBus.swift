public import VMBusProtocol

/// A bus as the gateway sees it: its devices, whoever runs the control plane (a client of ours, or the kernel).
public protocol GuestBus: AnyObject, Sendable {
  /// The devices of this bus.
  associatedtype Device: GuestDevice

  /// The devices that are there now.
  var devices: [Device] { get }

  /// The device of this class, and instance unless that is nil, waiting for its offer at most `milliseconds`; nil when it
  /// does not come. When the host was gone this is how a driver finds its device again.
  func awaitDevice(class interfaceClass: GUID, instance: GUID?, milliseconds: Int) -> Device?

  /// Leaves the bus: all devices are lost. Drivers should have closed them before. The bus is of no use afterwards. Not to
  /// be called by a handler of events.
  func disconnect()
}

/// What happens on a bus; told on a thread of the bus's own, so that a handler may open devices.
public enum GuestBusEvent: Sendable {
  /// The host is there, and has offered what it has at first.
  case connected(ProtocolVersion)
  /// A device is there: also each one of the first round, and each one again after a reconnect.
  case arrived(any GuestDevice)
  /// The host has taken a device back.
  case removed(any GuestDevice)
  /// The host is gone; all devices are lost. The bus tries to reach it again.
  case disconnected(reason: String)
  /// The host, or a device, did not come back in time; there is nothing to wait for any more.
  case gaveUp(reason: String)
}
