import WireBytes

/// The body of a heartbeat: a number that the guest answers with the next one.
public struct ICHeartbeat: Hashable, Sendable {
  /// How the guest's applications fare.
  public struct ApplicationState: RawRepresentable, Hashable, Sendable {
    /// The 32-bit word of the body.
    public let rawValue: UInt32

    /// Takes any word.
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// Nobody knows.
    public static let unknown = ApplicationState(rawValue: 0)
    /// Well.
    public static let healthy = ApplicationState(rawValue: 1)
    /// Badly.
    public static let critical = ApplicationState(rawValue: 2)
    /// Stopped.
    public static let stopped = ApplicationState(rawValue: 3)
  }

  /// The sequence number.
  public var sequence: UInt64
  /// The state of the guest, in answers.
  public var state: ApplicationState

  /// A heartbeat.
  public init(sequence: UInt64, state: ApplicationState = .unknown) {
    self.sequence = sequence
    self.state = state
  }

  /// Reads the body after `header` in a ring payload; some hosts send the sequence number alone.
  public init(parsing payload: RawSpan, header: ICHeader) throws(ICError) {
    let has = min(payload.byteCount - ICHeader.bodyOffset, Int(header.bodyByteCount))
    guard has >= 8 else { throw .tooShort(.heartbeat, needs: 8, has: has) }
    sequence = payload.le64(at: ICHeader.bodyOffset)
    state = has >= 12 ? ApplicationState(rawValue: payload.le32(at: ICHeader.bodyOffset + 8)) : .unknown
  }

  /// The answer: the next number, and how the guest fares.
  public func reply(state: ApplicationState) -> ICHeartbeat {
    ICHeartbeat(sequence: sequence &+ 1, state: state)
  }

  /// The ring payload with this body after `header`, whose body size is set.
  public func payload(header: ICHeader) -> [UInt8] {
    header.payload(bodyByteCount: 16) { bytes in
      bytes.storeLE(sequence, at: ICHeader.bodyOffset)
      bytes.storeLE(state.rawValue, at: ICHeader.bodyOffset + 8)
    }
  }
}
