import WireBytes

/// The body of a shutdown request, without the text that it may show.
public struct ICShutdown: Hashable, Sendable {
  /// How to go down.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The 32-bit word of the body.
    public let rawValue: UInt32

    /// Takes any word.
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// Do not wait for applications.
    public static let force = Flags(rawValue: 1)
    /// Restart.
    public static let restart = Flags(rawValue: 2)
    /// Hibernate.
    public static let hibernate = Flags(rawValue: 4)
  }

  /// The reason code; bit 31 says that it was planned.
  public var reason: UInt32
  /// How long the guest may take, in seconds.
  public var timeoutSeconds: UInt32
  /// How to go down.
  public var flags: Flags

  /// The size of the body with its text area of 1024 UTF-16 units, in bytes.
  public static let byteCount = 12 + 2048

  /// A request to shut down.
  public init(reason: UInt32 = 0x8000_0000, timeoutSeconds: UInt32, flags: Flags = []) {
    self.reason = reason
    self.timeoutSeconds = timeoutSeconds
    self.flags = flags
  }

  /// Reads the body after `header` in a ring payload.
  public init(parsing payload: RawSpan, header: ICHeader) throws(ICError) {
    let has = min(payload.byteCount - ICHeader.bodyOffset, Int(header.bodyByteCount))
    guard has >= 12 else { throw .tooShort(.shutdown, needs: 12, has: has) }
    reason = payload.le32(at: ICHeader.bodyOffset)
    timeoutSeconds = payload.le32(at: ICHeader.bodyOffset + 4)
    flags = Flags(rawValue: payload.le32(at: ICHeader.bodyOffset + 8))
  }

  /// The ring payload with this body and an empty text after `header`, whose body size is set.
  public func payload(header: ICHeader) -> [UInt8] {
    header.payload(bodyByteCount: ICShutdown.byteCount) { bytes in
      bytes.storeLE(reason, at: ICHeader.bodyOffset)
      bytes.storeLE(timeoutSeconds, at: ICHeader.bodyOffset + 4)
      bytes.storeLE(flags.rawValue, at: ICHeader.bodyOffset + 8)
    }
  }
}
