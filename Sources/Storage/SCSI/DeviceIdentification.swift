import WireBytes

/// The 16 bytes that identify a disk for all its life, wherever it is attached.
public struct DiskIdentifier: Equatable, Hashable, BitwiseCopyable, Sendable {
  /// Bytes 0-7, big-endian.
  public var high: UInt64
  /// Bytes 8-15, big-endian.
  public var low: UInt64

  /// An identifier from its two big-endian halves.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The name that Hyper-V makes of it: NAA type 6, Microsoft's company id 00-22-48, then bytes 0-5 and 10-15.
  var naa: (high: UInt64, low: UInt64) {
    let company: UInt64 = 0x6002_2480
    return (company << 32 | high >> 32, (high << 32 & 0xffff_0000_0000_0000) | low & 0xffff_ffff_ffff)
  }
}

/// VPD page 83 (T10 SPC-4): the names of a unit.
public struct DeviceIdentification: Equatable, Sendable {
  /// One name.
  public struct Designator: Equatable, Sendable {
    /// How the bytes are coded: 1 binary, 2 ASCII, 3 UTF-8; four bits.
    public var codeSet: UInt8
    /// What is named: 0 the logical unit, 1 the target port, 2 the target device; two bits.
    public var association: UInt8
    /// The kind of name; four bits.
    public var type: UInt8
    /// The name, at most 255 bytes.
    public var bytes: [UInt8]

    /// A T10 name: an 8-byte vendor, then anything.
    public static let t10: UInt8 = 1
    /// An EUI-64 name.
    public static let eui64: UInt8 = 2
    /// An NAA name, 8 or 16 bytes.
    public static let naa: UInt8 = 3

    /// A name of the logical unit, unless another association is given.
    public init(codeSet: UInt8, association: UInt8 = 0, type: UInt8, bytes: [UInt8]) {
      self.codeSet = codeSet & 0x0f
      self.association = association & 0x03
      self.type = type & 0x0f
      self.bytes = bytes
    }
  }

  /// The names, in the order of the page.
  public var designators: [Designator]

  /// A page with these names.
  public init(_ designators: [Designator]) {
    self.designators = designators
  }

  /// The page of a disk as Hyper-V gives it: a T10 name with the identifier, and the NAA name made of it.
  public init(identifier: DiskIdentifier, vendor: String = "Msft") {
    let t10 = [UInt8](zeroed: 24) { bytes in
      bytes.storeASCII(vendor, at: 0, count: 8)
      bytes.storeBE(identifier.high, at: 8)
      bytes.storeBE(identifier.low, at: 16)
    }
    let naa = [UInt8](zeroed: 16) { bytes in
      bytes.storeBE(identifier.naa.high, at: 0)
      bytes.storeBE(identifier.naa.low, at: 8)
    }
    designators = [
      Designator(codeSet: 1, type: Designator.t10, bytes: t10),
      Designator(codeSet: 1, type: Designator.naa, bytes: naa),
    ]
  }

  /// Parses the page; a name that the end of the data cuts off, and what follows it, is left out.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    let end = try VPDHeader.end(of: .deviceIdentification, in: bytes)
    designators = []
    var offset = VPDHeader.byteCount
    while offset + 4 <= end {
      let count = Int(bytes.byte(at: offset + 3))
      guard offset + 4 + count <= end else { break }
      designators.append(
        Designator(
          codeSet: bytes.byte(at: offset), association: bytes.byte(at: offset + 1) >> 4,
          type: bytes.byte(at: offset + 1), bytes: bytes.array(from: offset + 4, count: count)))
      offset += 4 + count
    }
  }

  /// The name of the logical unit that is fit to recognise it by: NAA before EUI-64 before T10; nil if there is none.
  public var unitDesignator: Designator? {
    for type in [Designator.naa, Designator.eui64, Designator.t10] {
      if let found = designators.first(where: { $0.association == 0 && $0.type == type && !$0.bytes.isEmpty }) {
        return found
      }
    }
    return nil
  }

  /// The bytes that ``encode(into:)`` gives.
  public var byteCount: Int {
    designators.reduce(VPDHeader.byteCount) { $0 + 4 + $1.bytes.count }
  }

  /// Stores the page at the start of `target`, which must have ``byteCount`` bytes, and returns their number.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    let total = byteCount
    VPDHeader.store(.deviceIdentification, length: total - VPDHeader.byteCount, into: &target)
    var offset = VPDHeader.byteCount
    for designator in designators {
      target.storeBE(designator.codeSet & 0x0f, at: offset)
      target.storeBE((designator.association & 0x03) << 4 | designator.type & 0x0f, at: offset + 1)
      target.storeBE(UInt8(0), at: offset + 2)
      target.storeBE(UInt8(designator.bytes.count), at: offset + 3)
      target.store(designator.bytes.rawSpan, at: offset + 4)
      offset += 4 + designator.bytes.count
    }
    return total
  }
}
