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
