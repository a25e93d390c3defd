/// Whether the medium is connected (GEN_MEDIA_CONNECT_STATUS).
public struct MediaConnectStatus: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A status as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Connected.
  @inlinable public static var connected: MediaConnectStatus { MediaConnectStatus(rawValue: 0) }
  /// Disconnected.
  @inlinable public static var disconnected: MediaConnectStatus { MediaConnectStatus(rawValue: 1) }
}
