public import VMBusProtocol

/// What a client tells of its bus; on a thread of its own, so that a handler may open devices.
public enum ClientEvent: Sendable {
  /// The host is there, and has offered what it has at first.
  case connected(ProtocolVersion)
  /// A device is there: also each one of the first round, and each one again after a reconnect.
  case arrived(ClientDevice)
  /// The host has taken a device back.
  case removed(ClientDevice)
  /// The host is gone; all devices are lost. The client tries to reach it again.
  case disconnected(reason: String)
  /// The host did not come back in time; the client has ended.
  case gaveUp(reason: String)
}
