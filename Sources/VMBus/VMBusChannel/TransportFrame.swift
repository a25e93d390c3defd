import WireBytes

/// One packet of the socket between a guest and its host: 8 bytes of header, and at most 240 bytes of payload.
///
/// The transport stands in for the hypervisor: it carries what a real guest does by hypercalls and shared pages.
///
/// | kind | name      | sent by | value                 | payload                               | descriptors          |
/// |------|-----------|---------|-----------------------|---------------------------------------|----------------------|
/// | 1    | hello     | both    | transport version     | the 8 bytes of `magic`                | none                 |
/// | 2    | memory    | guest   | 0                     | u64 guest address, u64 length (bytes) | a memfd, sealed      |
/// | 3    | message   | both    | guest: connection id  | the VMBus control message             | none                 |
/// | 4    | doorbells | host    | relid                 | none                                  | 2 eventfds           |
/// | 5    | goodbye   | both    | 0                     | why, as UTF-8 text                    | none                 |
///
/// Both header words are 32-bit and little-endian: kind at 0, value at 4. The guest starts with hello, memory (once or
/// more); the host answers the hello. Doorbells come right before the OPEN_CHANNEL_RESULT that they belong to: the first
/// is the guest's to signal, the second the host's. Who gets anything else ends the connection.
public struct TransportFrame: Equatable, Sendable {
  /// What a frame is for.
  public struct Kind: RawRepresentable, Hashable, Sendable {
    /// The first word of the frame.
    public let rawValue: UInt32
    /// Takes any word.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Opens the connection.
    public static let hello = Kind(rawValue: 1)
    /// Hands a piece of guest memory over.
    public static let memory = Kind(rawValue: 2)
    /// Carries a control message.
    public static let message = Kind(rawValue: 3)
    /// Hands the doorbells of a channel over.
    public static let doorbells = Kind(rawValue: 4)
    /// Ends the connection.
    public static let goodbye = Kind(rawValue: 5)
  }

  /// What the frame is for.
  public var kind: Kind
  /// See the table.
  public var value: UInt32
  /// See the table; at most `maximumPayloadByteCount` bytes.
  public var payload: [UInt8]

  /// The version of this table.
  public static let version: UInt32 = 1
  /// The payload of a hello: "SynthBus".
  public static let magic: [UInt8] = Array("SynthBus".utf8)
  /// Length of the header, in bytes.
  public static let headerByteCount = 8
  /// The longest payload, in bytes: what a SynIC message carries.
  public static let maximumPayloadByteCount = 240
  /// The longest frame, in bytes.
  public static let maximumByteCount = headerByteCount + maximumPayloadByteCount

  /// A frame; traps when the payload is too long.
  public init(_ kind: Kind, value: UInt32 = 0, payload: [UInt8] = []) {
    precondition(payload.count <= Self.maximumPayloadByteCount)
    self.kind = kind
    self.value = value
    self.payload = payload
  }

  /// The hello of this version.
  public static let hello = TransportFrame(.hello, value: version, payload: magic)

  /// A goodbye; the text is cut to what fits.
  public static func goodbye(_ reason: String) -> TransportFrame {
    TransportFrame(.goodbye, payload: Array(reason.utf8.prefix(maximumPayloadByteCount)))
  }

  /// A piece of memory of `byteCount` bytes at `guestAddress`.
  public static func memory(guestAddress: UInt64, byteCount: Int) -> TransportFrame {
    let payload = [UInt8](zeroed: 16) { bytes in
      bytes.storeLE(guestAddress, at: 0)
      bytes.storeLE(UInt64(byteCount), at: 8)
    }
    return TransportFrame(.memory, payload: payload)
  }

  /// The guest address and the length that a memory frame tells; nil for another frame or a wrong length.
  public var memoryRange: (guestAddress: UInt64, byteCount: UInt64)? {
    guard kind == .memory, payload.count == 16 else { return nil }
    return (payload.rawSpan.le64(at: 0), payload.rawSpan.le64(at: 8))
  }

  /// Whether this is the hello of a peer that speaks this version.
  public var isHello: Bool { self == .hello }

  /// The text of a goodbye.
  public var reason: String { String(decoding: payload, as: UTF8.self) }

  /// The bytes of the frame.
  public func encoded() -> [UInt8] {
    [UInt8](zeroed: Self.headerByteCount + payload.count) { bytes in
      bytes.storeLE(kind.rawValue, at: 0)
      bytes.storeLE(value, at: 4)
      bytes.store(payload.rawSpan, at: Self.headerByteCount)
    }
  }

  /// Reads a frame; nil when the bytes are fewer than a header or more than a frame.
  public init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= Self.headerByteCount, bytes.byteCount <= Self.maximumByteCount else { return nil }
    kind = Kind(rawValue: bytes.le32(at: 0))
    value = bytes.le32(at: 4)
    payload = bytes.array(from: Self.headerByteCount)
  }
}
