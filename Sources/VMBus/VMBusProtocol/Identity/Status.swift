/// The result in OPEN_CHANNEL_RESULT, GPADL_CREATED, MODIFY_CHANNEL_RESPONSE and TL_CONNECT_REQUEST_RESULT.
///
/// A receiver only asks whether it is `success`; the other values are those that hosts were seen to send.
public struct Status: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The 32-bit word on the wire.
  public let rawValue: UInt32

  /// Takes any word.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Done.
  public static let success = Status(rawValue: 0)
  /// Failed, without a reason.
  public static let unspecifiedFailure = Status(rawValue: 0x8000_ffff)
  /// STATUS_CONNECTION_REFUSED: nobody listens to the hvsock service.
  public static let connectionRefused = Status(rawValue: 0xc000_0236)

  /// The name, or the number in hexadecimal.
  public var description: String {
    switch self {
    case .success: "success"
    case .unspecifiedFailure: "unspecified failure"
    case .connectionRefused: "connection refused"
    default: "status 0x\(String(rawValue, radix: 16))"
    }
  }
}

/// The outcome of a contact whose version the host supports, in VERSION_RESPONSE and MODIFY_CONNECTION_RESPONSE.
public struct ConnectionState: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The byte on the wire.
  public let rawValue: UInt8

  /// Takes any byte.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Connected.
  public static let successful = ConnectionState(rawValue: 0)
  /// The host lacks resources.
  public static let lowResources = ConnectionState(rawValue: 1)
  /// Failed, without a reason.
  public static let unknownFailure = ConnectionState(rawValue: 2)

  /// The name, or the number.
  public var description: String {
    switch self {
    case .successful: "successful"
    case .lowResources: "low resources"
    case .unknownFailure: "unknown failure"
    default: "connection state \(rawValue)"
    }
  }
}
