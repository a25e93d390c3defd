/// The result in OPEN_CHANNEL_RESULT, GPADL_CREATED, MODIFY_CHANNEL_RESPONSE and TL_CONNECT_REQUEST_RESULT.
///
/// A receiver only asks whether it is `success`; the other values are those that hosts were seen to send.
public struct MessageStatus: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The 32-bit word on the wire.
  public let rawValue: UInt32

  /// Takes any word.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Done.
  public static let success = MessageStatus(rawValue: 0)
  /// Failed, without a reason.
  public static let unspecifiedFailure = MessageStatus(rawValue: 0x8000_ffff)
  /// STATUS_CONNECTION_REFUSED: nobody listens to the hvsock service.
  public static let connectionRefused = MessageStatus(rawValue: 0xc000_0236)

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
