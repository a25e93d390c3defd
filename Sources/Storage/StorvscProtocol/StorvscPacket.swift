public import WireBytes

/// The header of a vstor packet (Linux: struct vstor_packet); what follows it depends on the operation.
public struct StorvscPacket: Equatable, BitwiseCopyable, Sendable {
  /// Bits of the second word.
  public struct Flags: OptionSet, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt32

    /// Flags as they came over the wire.
    @inlinable
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// REQUEST_COMPLETION: guests set it in every packet. The bit of the ring descriptor decides, not this one.
    @inlinable public static var requestCompletion: Flags { Flags(rawValue: 1) }
  }

  /// What the packet is for.
  public var operation: StorvscOperation
  /// Zero from a host.
  public var flags: Flags
  /// The result; meaningful from host to guest only.
  public var status: NTStatus

  /// The bytes of a packet since 5.1, and of every packet that a guest should send, whatever the version.
  @inlinable public static var byteCount: Int { 64 }
  /// The bytes of a packet at 2.0 and 4.2.
  @inlinable public static var shortByteCount: Int { 48 }
  /// The bytes of the header: the offset of the payload.
  @inlinable public static var headerByteCount: Int { 12 }

  /// A header with these values.
  @inlinable
  public init(operation: StorvscOperation, flags: Flags = [], status: NTStatus = .success) {
    self.operation = operation
    self.flags = flags
    self.status = status
  }

  /// The header of a guest's request.
  @inlinable
  public static func request(_ operation: StorvscOperation) -> StorvscPacket {
    StorvscPacket(operation: operation, flags: .requestCompletion)
  }

  /// The header of a host's answer.
  @inlinable
  public static func completion(_ status: NTStatus) -> StorvscPacket {
    StorvscPacket(operation: .completeIO, status: status)
  }

  /// Parses the 12 bytes at the start of `packet`.
  @inlinable
  public init(parsing packet: RawSpan) throws(StorvscError) {
    try packet.require(StorvscPacket.headerByteCount, at: 0)
    operation = StorvscOperation(rawValue: packet.le32(at: 0))
    flags = Flags(rawValue: packet.le32(at: 4))
    status = NTStatus(rawValue: packet.le32(at: 8))
  }

  /// Stores 12 bytes at `offset` of `target`.
  @inlinable
  @_lifetime(target: copy target)
  public func store(into target: inout MutableRawSpan, at offset: Int = 0) {
    target.storeLE(operation.rawValue, at: offset)
    target.storeLE(flags.rawValue, at: offset + 4)
    target.storeLE(status.rawValue, at: offset + 8)
  }

  /// The bytes of the answer to a request of `requestByteCount` bytes.
  ///
  /// Stock guests drop an answer that is shorter than what they sent, and none has room for more than 64 bytes.
  @inlinable
  public static func replyByteCount(requestByteCount: Int) -> Int {
    min(requestByteCount, byteCount)
  }
}
