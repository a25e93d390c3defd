public import WireBytes

/// The 16 bytes at the start of every ring packet.
///
/// A packet is descriptor, extra descriptor words, payload padded to 8 bytes, and a trailer of 8 bytes that the length
/// does not count. How long the payload was before padding, only its own protocol can tell.
public struct PacketDescriptor: Hashable, Sendable {
  /// The kind of packet.
  public var type: PacketType
  /// Where the payload starts, in units of 8 bytes from the start of the packet.
  public var payloadOffset8: UInt16
  /// The length of descriptor, extra words and padded payload, in units of 8 bytes.
  public var length8: UInt16
  /// Whether a completion is owed.
  public var flags: PacketFlags
  /// The requester's name for the request; the completion repeats it.
  public var transactionID: UInt64

  /// The size of the descriptor, in bytes.
  @inlinable public static var byteCount: Int { 16 }

  /// A descriptor as given field by field.
  @inlinable
  public init(type: PacketType, payloadOffset8: UInt16, length8: UInt16, flags: PacketFlags, transactionID: UInt64) {
    self.type = type
    self.payloadOffset8 = payloadOffset8
    self.length8 = length8
    self.flags = flags
    self.transactionID = transactionID
  }

  /// A descriptor for a payload after `headerByteCount` bytes of descriptor and extra words.
  ///
  /// Traps when the header is no multiple of 8 or the packet exceeds `maximumByteCount`: both are the writer's own.
  @inlinable
  public init(
    type: PacketType, headerByteCount: Int = PacketDescriptor.byteCount, payloadByteCount: Int, flags: PacketFlags,
    transactionID: UInt64
  ) {
    precondition(headerByteCount >= PacketDescriptor.byteCount && headerByteCount % 8 == 0 && payloadByteCount >= 0)
    self.init(
      type: type, payloadOffset8: UInt16(headerByteCount / 8),
      length8: UInt16((headerByteCount + payloadByteCount + 7) / 8),
      flags: flags, transactionID: transactionID)
  }

  /// Reads the descriptor from `offset` on; traps when it leaves the span.
  @inlinable
  public init(parsing bytes: RawSpan, at offset: Int = 0) {
    self.init(words: bytes.le64(at: offset), bytes.le64(at: offset + 8))
  }

  /// Takes the two 64-bit words of the descriptor, for readers that load them atomically.
  @inlinable
  public init(words first: UInt64, _ second: UInt64) {
    type = PacketType(rawValue: UInt16(truncatingIfNeeded: first))
    payloadOffset8 = UInt16(truncatingIfNeeded: first >> 16)
    length8 = UInt16(truncatingIfNeeded: first >> 32)
    flags = PacketFlags(rawValue: UInt16(truncatingIfNeeded: first >> 48))
    transactionID = second
  }

  /// The first of the two 64-bit words; the second is the transaction id.
  @inlinable
  public var firstWord: UInt64 {
    UInt64(type.rawValue) | UInt64(payloadOffset8) << 16 | UInt64(length8) << 32 | UInt64(flags.rawValue) << 48
  }

  /// Writes the descriptor from `offset` on; traps when it leaves the span.
  @inlinable
  public func store(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLE(firstWord, at: offset)
    bytes.storeLE(transactionID, at: offset + 8)
  }
}

extension PacketDescriptor {
  /// The longest packet that the length word can say, trailer not counted, in bytes.
  @inlinable public static var maximumByteCount: Int { 0xffff * 8 }

  /// Where the payload starts, in bytes.
  @inlinable public var payloadOffset: Int { Int(payloadOffset8) * 8 }

  /// The length of the packet without its trailer, in bytes.
  @inlinable public var length: Int { Int(length8) * 8 }

  /// The length of the payload with its padding, in bytes; negative if the descriptor was not validated.
  @inlinable public var payloadByteCount: Int { length - payloadOffset }

  /// The room that the packet takes in the ring, trailer included, in bytes.
  @inlinable public var ringByteCount: Int { length + PacketTrailer.byteCount }

  /// Whether the receiver owes a completion.
  @inlinable public var isCompletionRequested: Bool { flags.contains(.completionRequested) }

  /// Checks the descriptor against the `available` bytes of the ring, the descriptor itself and the trailer included.
  ///
  /// - Parameter types: the packet types that this reader accepts.
  /// - Throws: `PacketError` when the packet is not within the ring's data, or not of a kind that the peer may send.
  @inlinable
  public func validate(available: Int, types: PacketTypeSet = .all) throws(PacketError) {
    guard available >= PacketDescriptor.byteCount + PacketTrailer.byteCount else {
      throw .tooShort(available: available)
    }
    guard length >= PacketDescriptor.byteCount, length <= available - PacketTrailer.byteCount else {
      throw .length(byteCount: length, available: available)
    }
    guard payloadOffset >= PacketDescriptor.byteCount, payloadOffset <= length else {
      throw .payloadOffset(byteOffset: payloadOffset, byteCount: length)
    }
    guard flags.isSubset(of: .completionRequested) else { throw .flags(flags) }
    guard types.accepts(type) else { throw .type(type) }
  }

  /// An in-band packet with `payloadByteCount` bytes before padding.
  @inlinable
  public static func inBand(
    payloadByteCount: Int, transactionID: UInt64, isCompletionRequested: Bool
  ) -> PacketDescriptor {
    PacketDescriptor(
      type: .inBand, payloadByteCount: payloadByteCount, flags: isCompletionRequested ? .completionRequested : [],
      transactionID: transactionID)
  }

  /// The completion of the request `transactionID`.
  @inlinable
  public static func completion(payloadByteCount: Int, transactionID: UInt64) -> PacketDescriptor {
    PacketDescriptor(
      type: .completion, payloadByteCount: payloadByteCount, flags: [], transactionID: transactionID)
  }
}

/// The 8 bytes after every packet; written as the protocol says, read by nobody.
public enum PacketTrailer {
  /// The size of the trailer, in bytes.
  @inlinable public static var byteCount: Int { 8 }

  /// The little-endian word of a packet that starts at ring offset `start`.
  @inlinable
  public static func word(start: UInt32) -> UInt64 {
    UInt64(start) << 32
  }
}
