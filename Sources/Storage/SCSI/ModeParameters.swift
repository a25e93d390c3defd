import WireBytes

/// The mode parameters of a disk: header and caching page (T10 SPC-4, SBC-3).
public struct ModeParameters: Equatable, Sendable {
  /// The caching page.
  public struct CachingPage: Equatable, Sendable {
    /// WCE: writes may end before they are stable.
    public var writeCacheEnabled: Bool
    /// RCD: reads do not come from the cache.
    public var readCacheDisabled: Bool

    /// A page with these flags; both false is also the mask that says that nothing is changeable.
    public init(writeCacheEnabled: Bool, readCacheDisabled: Bool = false) {
      self.writeCacheEnabled = writeCacheEnabled
      self.readCacheDisabled = readCacheDisabled
    }
  }

  /// WP: the medium is write protected.
  public var isWriteProtected: Bool
  /// DPOFUA: DPO and FUA are supported.
  public var supportsFUA: Bool
  /// The caching page, if it is there.
  public var caching: CachingPage?

  /// The bytes of the caching page.
  static let cachingPageByteCount = 12

  /// Parameters with these values.
  public init(isWriteProtected: Bool, supportsFUA: Bool, caching: CachingPage?) {
    self.isWriteProtected = isWriteProtected
    self.supportsFUA = supportsFUA
    self.caching = caching
  }

  /// The bytes of the header, of MODE SENSE(10) if `ten`.
  static func headerByteCount(ten: Bool) -> Int {
    ten ? 8 : 4
  }

  /// The bytes that ``encode(into:ten:)`` gives.
  public func byteCount(ten: Bool) -> Int {
    ModeParameters.headerByteCount(ten: ten) + (caching == nil ? 0 : ModeParameters.cachingPageByteCount)
  }

  /// Parses what MODE SENSE(6), or (10) if `ten`, returned.
  ///
  /// Any block descriptors and unknown pages are skipped; a caching page that is cut off before its flags counts as
  /// absent.
  public init(parsingSense bytes: RawSpan, ten: Bool) throws(ParameterDataError) {
    try bytes.require(ModeParameters.headerByteCount(ten: ten))
    let length = ten ? 2 + Int(bytes.be16(at: 0)) : 1 + Int(bytes.byte(at: 0))
    try self.init(header: bytes, end: min(bytes.byteCount, length), ten: ten)
    var offset = ModeParameters.firstPage(bytes, ten: ten)
    let end = min(bytes.byteCount, length)
    while offset + 2 <= end {
      let code = bytes.byte(at: offset)
      // Bit 6: the long form, for subpages.
      let isLong = code & 0x40 != 0
      guard !isLong || offset + 4 <= end else { break }
      let count = isLong ? 4 + Int(bytes.be16(at: offset + 2)) : 2 + Int(bytes.byte(at: offset + 1))
      if code & 0x7f == ModePage.caching.rawValue, count >= 3, offset + 3 <= end {
        caching = ModeParameters.cachingPage(bytes.byte(at: offset + 2))
      }
      offset += count
    }
  }

  /// Parses what an initiator sent with MODE SELECT(6), or (10) if `ten`, as a target must: nothing is skipped but the
  /// block descriptors.
  ///
  /// A caching page must have the length 10 that MODE SENSE reports (and whole), any other page is refused.
  public init(parsingSelect bytes: RawSpan, ten: Bool) throws(ParameterDataError) {
    try bytes.require(ModeParameters.headerByteCount(ten: ten))
    try self.init(header: bytes, end: bytes.byteCount, ten: ten)
    var offset = ModeParameters.firstPage(bytes, ten: ten)
    try bytes.require(offset)
    while offset < bytes.byteCount {
      try bytes.require(offset + 2)
      guard bytes.byte(at: offset) & 0x7f == ModePage.caching.rawValue else { throw .invalidField(offset: offset) }
      guard Int(bytes.byte(at: offset + 1)) == ModeParameters.cachingPageByteCount - 2 else {
        throw .invalidField(offset: offset + 1)
      }
      try bytes.require(offset + ModeParameters.cachingPageByteCount)
      caching = ModeParameters.cachingPage(bytes.byte(at: offset + 2))
      offset += ModeParameters.cachingPageByteCount
    }
  }

  private init(header bytes: RawSpan, end: Int, ten: Bool) throws(ParameterDataError) {
    let needed = ten ? 4 : 3
    guard end >= needed else { throw .tooShort(byteCount: end, needed: needed) }
    let flags = bytes.byte(at: ten ? 3 : 2)
    isWriteProtected = flags & 0x80 != 0
    supportsFUA = flags & 0x10 != 0
  }

  private static func firstPage(_ bytes: RawSpan, ten: Bool) -> Int {
    headerByteCount(ten: ten) + (ten ? Int(bytes.be16(at: 6)) : Int(bytes.byte(at: 3)))
  }

  private static func cachingPage(_ flags: UInt8) -> CachingPage {
    CachingPage(writeCacheEnabled: flags & 0x04 != 0, readCacheDisabled: flags & 0x01 != 0)
  }

  /// Stores header and page as MODE SENSE(6), or (10) if `ten`, returns them at the start of `target`, which must have
  /// ``byteCount(ten:)`` bytes, and returns their number.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan, ten: Bool) -> Int {
    let total = byteCount(ten: ten)
    let header = ModeParameters.headerByteCount(ten: ten)
    target.zero(from: 0, count: total)
    let flags: UInt8 = (isWriteProtected ? 0x80 : 0) | (supportsFUA ? 0x10 : 0)
    if ten {
      target.storeBE(UInt16(total - 2), at: 0)
      target.storeBE(flags, at: 3)
    } else {
      target.storeBE(UInt8(total - 1), at: 0)
      target.storeBE(flags, at: 2)
    }
    if let caching {
      target.storeBE(ModePage.caching.rawValue, at: header)
      target.storeBE(UInt8(ModeParameters.cachingPageByteCount - 2), at: header + 1)
      let bits: UInt8 = (caching.writeCacheEnabled ? 0x04 : 0) | (caching.readCacheDisabled ? 0x01 : 0)
      target.storeBE(bits, at: header + 2)
    }
    return total
  }
}
