import WireBytes

/// The list that REPORT LUNS returns (T10 SPC-4).
public struct LUNList: Equatable, Sendable {
  /// The unit numbers, 0-16,383.
  public var luns: [UInt16]
  /// The bytes of the whole list when the parsed data held only a part of it; ask again with this allocation.
  public private(set) var truncatedFrom: Int?

  /// A list of `luns`.
  public init(_ luns: [UInt16]) {
    self.luns = luns
  }

  /// Parses at least 8 bytes. Entries that do not address a unit of this one level are left out.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    try bytes.require(8)
    let full = 8 + Int(bytes.be32(at: 0))
    let end = min(bytes.byteCount, full)
    luns = []
    for offset in stride(from: 8, through: end - 8, by: 8) {
      let address = bytes.be64(at: offset)
      let number = UInt16(truncatingIfNeeded: address >> 48)
      guard address & 0xffff_ffff_ffff == 0 else { continue }
      switch number >> 14 {
      case 0 where number < 256: luns.append(number)
      case 1: luns.append(number & 0x3fff)
      default: continue
      }
    }
    truncatedFrom = full > bytes.byteCount ? full : nil
  }

  /// The bytes that ``encode(into:)`` gives.
  public var byteCount: Int { 8 + 8 * luns.count }

  /// Stores the list at the start of `target`, which must have ``byteCount`` bytes, and returns their number; numbers
  /// from 256 on use flat addressing.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.storeBE(UInt32(8 * luns.count), at: 0)
    target.storeBE(UInt32(0), at: 4)
    for (index, lun) in luns.enumerated() {
      let address = lun < 256 ? lun : 0x4000 | lun & 0x3fff
      target.storeBE(UInt64(address) << 48, at: 8 + 8 * index)
    }
    return byteCount
  }
}
