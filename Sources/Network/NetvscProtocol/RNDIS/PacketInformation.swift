public import WireBytes

/// The per-packet information of one frame: what is known of each type, inline and without allocation.
public struct PacketInformation: Hashable, BitwiseCopyable, Sendable {
  /// The checksum word: ``TransmitChecksum`` from a guest, ``ReceiveChecksum`` from a host.
  public var checksum: UInt32?
  /// Segmentation.
  public var largeSend: LargeSendOffload?
  /// The tag.
  public var vlan: PacketVLAN?
  /// The hash of the flow. Some guests put their queue number here: not to be trusted from a guest.
  public var flowHash: UInt32?
  /// Which hash that is.
  public var hashInfo: RSSHashTypes?
  /// The place in a coalesced frame.
  public var packetID: PacketID?
  /// Elements of a type that was there before; the first one counts.
  public private(set) var duplicateCount: UInt32 = 0

  /// The bytes of each element.
  @inlinable public static var elementByteCount: Int { 16 }

  /// Nothing.
  @inlinable
  public init() {}

  /// The bytes of the list.
  @inlinable
  public var byteCount: Int {
    var count = 0
    if checksum != nil { count += 16 }
    if largeSend != nil { count += 16 }
    if vlan != nil { count += 16 }
    if flowHash != nil { count += 16 }
    if hashInfo != nil { count += 16 }
    if packetID != nil { count += 16 }
    return count
  }

  /// Parses `list`, which elements must fill exactly; unknown types are skipped.
  public init(parsing list: RawSpan) throws(NetvscError) {
    var offset = 0
    while offset < list.byteCount {
      let left = list.byteCount - offset
      guard left >= 12 else { throw .packetInformation(offset: offset, byteCount: UInt32(left)) }
      let size = list.le32(at: offset)
      let start = list.le32(at: offset + 8)
      guard size >= 12, Int(size) <= left, size & 3 == 0, start >= 12, start < size else {
        throw .packetInformation(offset: offset, byteCount: size)
      }
      let type = PacketInformationType(rawValue: list.le32(at: offset + 4))
      if PacketInformation.isKnown(type) {
        guard size - start >= 4 else { throw .packetInformation(offset: offset, byteCount: size) }
        take(type, list.le32(at: offset + Int(start)))
      }
      offset += Int(size)
    }
  }

  private static func isKnown(_ type: PacketInformationType) -> Bool {
    switch type {
    case .checksum, .largeSendOffload, .ieee8021Q, .hashValue, .hashInfo, .packetID: true
    default: false
    }
  }

  private mutating func take(_ type: PacketInformationType, _ word: UInt32) {
    switch type {
    case .checksum where checksum == nil: checksum = word
    case .largeSendOffload where largeSend == nil: largeSend = LargeSendOffload(rawValue: word)
    case .ieee8021Q where vlan == nil: vlan = PacketVLAN(rawValue: word)
    case .hashValue where flowHash == nil: flowHash = word
    case .hashInfo where hashInfo == nil: hashInfo = RSSHashTypes(rawValue: word)
    case .packetID where packetID == nil: packetID = PacketID(rawValue: word)
    default: duplicateCount &+= 1
    }
  }

  /// Stores the list at `offset` and returns its size in bytes.
  @inlinable @discardableResult
  public func store(into target: inout MutableRawSpan, at offset: Int = RNDISPacket.headerByteCount) -> Int {
    var end = offset
    func element(_ type: PacketInformationType, _ word: UInt32?, _ target: inout MutableRawSpan) {
      guard let word else { return }
      target.storeLE(UInt32(16), at: end)
      target.storeLE(type.rawValue, at: end + 4)
      target.storeLE(UInt32(12), at: end + 8)
      target.storeLE(word, at: end + 12)
      end += 16
    }
    element(.ieee8021Q, vlan?.rawValue, &target)
    element(.largeSendOffload, largeSend?.rawValue, &target)
    element(.checksum, checksum, &target)
    element(.hashInfo, hashInfo?.rawValue, &target)
    element(.hashValue, flowHash, &target)
    element(.packetID, packetID?.rawValue, &target)
    return end - offset
  }
}
