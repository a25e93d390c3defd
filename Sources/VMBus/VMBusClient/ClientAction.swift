public import VMBusProtocol

/// What `ClientConnection` wants done, or tells, in this order.
public enum ClientAction: Sendable, Equatable {
  /// Post these bytes of a control message to the message port `connectionID`.
  case send([UInt8], connectionID: UInt32)
  /// The host has agreed on a version.
  case connected(ProtocolVersion)
  /// The host accepts no version, or has failed.
  case refused(String)
  /// A channel is there.
  case offered(ChannelOffer)
  /// All channels that the host has at first were offered.
  case enumerated
  /// A channel is taken back.
  case rescinded(relid: UInt32)
  /// The answer to `open`.
  case opened(relid: UInt32, status: MessageStatus)
  /// The answer to `createGPADL`.
  case gpadlCreated(UInt32, status: MessageStatus)
  /// The answer to `tearDown`.
  case gpadlTorndown(UInt32)
  /// The answer to `unload`.
  case unloaded
  /// A message of the host was dropped, for this reason.
  case dropped(String)
}
