/// The type of an RNDIS message: its first word (Linux: RNDIS_MSG).
public struct RNDISMessageType: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// PACKET: a frame.
  @inlinable public static var packet: RNDISMessageType { RNDISMessageType(rawValue: 1) }
  /// INITIALIZE.
  @inlinable public static var initialize: RNDISMessageType { RNDISMessageType(rawValue: 2) }
  /// HALT: ends data; no reply.
  @inlinable public static var halt: RNDISMessageType { RNDISMessageType(rawValue: 3) }
  /// QUERY.
  @inlinable public static var query: RNDISMessageType { RNDISMessageType(rawValue: 4) }
  /// SET.
  @inlinable public static var set: RNDISMessageType { RNDISMessageType(rawValue: 5) }
  /// RESET.
  @inlinable public static var reset: RNDISMessageType { RNDISMessageType(rawValue: 6) }
  /// INDICATE_STATUS; no reply.
  @inlinable public static var indicateStatus: RNDISMessageType { RNDISMessageType(rawValue: 7) }
  /// KEEPALIVE.
  @inlinable public static var keepalive: RNDISMessageType { RNDISMessageType(rawValue: 8) }
  /// SET_EX; unused.
  @inlinable public static var setEx: RNDISMessageType { RNDISMessageType(rawValue: 9) }
  /// INITIALIZE_CMPLT.
  @inlinable public static var initializeComplete: RNDISMessageType { RNDISMessageType(rawValue: 0x8000_0002) }
  /// QUERY_CMPLT.
  @inlinable public static var queryComplete: RNDISMessageType { RNDISMessageType(rawValue: 0x8000_0004) }
  /// SET_CMPLT.
  @inlinable public static var setComplete: RNDISMessageType { RNDISMessageType(rawValue: 0x8000_0005) }
  /// RESET_CMPLT.
  @inlinable public static var resetComplete: RNDISMessageType { RNDISMessageType(rawValue: 0x8000_0006) }
  /// KEEPALIVE_CMPLT.
  @inlinable public static var keepaliveComplete: RNDISMessageType { RNDISMessageType(rawValue: 0x8000_0008) }
  /// SET_EX_CMPLT; unused.
  @inlinable public static var setExComplete: RNDISMessageType { RNDISMessageType(rawValue: 0x8000_0009) }
  /// BUS; unused.
  @inlinable public static var bus: RNDISMessageType { RNDISMessageType(rawValue: 0xff00_0001) }

  /// The bit that a reply has and a request has not.
  @inlinable public static var completion: UInt32 { 0x8000_0000 }

  /// Whether the message is a reply.
  @inlinable public var isCompletion: Bool { rawValue & 0xff00_0000 == RNDISMessageType.completion }
}

extension RNDISMessageType: CustomStringConvertible {
  /// The number, as documents quote it.
  public var description: String { "RNDIS message 0x\(rawValue.hexadecimal(digits: 1))" }
}
