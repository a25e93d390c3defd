import WireBytes

/// The type word of a pipe header; the peer may write one that we do not know.
public struct PipePacketType: RawRepresentable, Hashable, Sendable {
  /// The 32-bit word at the start of the payload.
  public let rawValue: UInt32

  /// Takes any word.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Data.
  public static let data = PipePacketType(rawValue: 1)
  /// Data of which the reader has taken a part in place; no peer ever sends it.
  public static let partial = PipePacketType(rawValue: 2)
  /// Set up GPA-direct.
  public static let setUpGPADirect = PipePacketType(rawValue: 3)
  /// Tear down GPA-direct.
  public static let tearDownGPADirect = PipePacketType(rawValue: 4)
}

/// The first 8 payload bytes of an in-band packet on a pipe channel: they tell the length before padding.
public struct PipeHeader: Hashable, Sendable {
  /// The kind of packet.
  public var type: PipePacketType
  /// The length word: of data the number of bytes, 0 for the end of the stream; of a partial packet both counts.
  public var length: UInt32

  /// The size of the header, in bytes.
  public static let byteCount = 8
  /// The longest data of one pipe packet, in bytes.
  public static let maximumDataByteCount = 16384

  /// A header as given field by field.
  public init(type: PipePacketType, length: UInt32) {
    self.type = type
    self.length = length
  }

  /// The header of `byteCount` bytes of data.
  public static func data(byteCount: Int) -> PipeHeader {
    PipeHeader(type: .data, length: UInt32(byteCount))
  }

  /// The end of the stream.
  public static let endOfStream = PipeHeader(type: .data, length: 0)

  /// What a reader leaves in the ring that has taken `consumed` of `total` bytes.
  public static func partial(consumed: UInt16, total: UInt16) -> PipeHeader {
    PipeHeader(type: .partial, length: UInt32(consumed) << 16 | UInt32(total))
  }

  /// Reads the header and checks that its data is there.
  ///
  /// - Parameter payload: the payload of the packet, padding included.
  /// - Throws: `PacketError` when the payload is too short, or the length of data exceeds it or the limit.
  public init(parsing payload: RawSpan) throws(PacketError) {
    let has = payload.byteCount
    guard has >= PipeHeader.byteCount else { throw .payload(needs: PipeHeader.byteCount, has: has) }
    type = PipePacketType(rawValue: payload.le32(at: 0))
    length = payload.le32(at: 4)
    switch type {
    case .data:
      guard length <= PipeHeader.maximumDataByteCount, Int(length) <= has - PipeHeader.byteCount else {
        throw .payload(needs: PipeHeader.byteCount + Int(length), has: has)
      }
    case .partial:
      guard consumedByteCount <= totalByteCount, totalByteCount <= has - PipeHeader.byteCount else {
        throw .payload(needs: PipeHeader.byteCount + totalByteCount, has: has)
      }
    case .setUpGPADirect, .tearDownGPADirect: break
    default: throw .pipeType(type)
    }
  }

  /// Writes the header from `offset` on; traps when it leaves the span.
  public func store(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLE(type.rawValue, at: offset)
    bytes.storeLE(length, at: offset + 4)
  }

  /// Whether no data will follow.
  public var isEndOfStream: Bool { self == .endOfStream }

  /// How many bytes a reader has already taken.
  public var consumedByteCount: Int { type == .partial ? Int(length >> 16) : 0 }

  /// How many bytes the packet brought.
  public var totalByteCount: Int { type == .partial ? Int(length & 0xffff) : Int(length) }
}
