import WireBytes

extension VHDXLogEntry {
  /// The length in bytes that the entry says it has; nil unless this may be the start of an entry of this log.
  ///
  /// - Parameter sector: the first 64 bytes at least.
  public static func announcedByteCount(_ sector: RawSpan, logGUID: GUID, logByteCount: UInt32) -> Int? {
    guard sector.byteCount >= 64, sector.le32(at: 0) == signature, GUID(parsing: sector, at: 32) == logGUID else {
      return nil
    }
    let count = sector.le32(at: 8)
    guard count >= 4096, count % 4096 == 0, count < logByteCount else { return nil }
    return Int(count)
  }

  /// Reads an entry; nil unless all of it is valid.
  ///
  /// Whether the places that it changes are allowed, is for the caller to look at.
  ///
  /// - Parameters:
  ///   - bytes: exactly the entry, put together where it wraps around the end of the log.
  ///   - logGUID: the log that it must belong to.
  public init?(parsing bytes: RawSpan, logGUID: GUID, logByteCount: UInt32) {
    guard Self.announcedByteCount(bytes, logGUID: logGUID, logByteCount: logByteCount) == bytes.byteCount else {
      return nil
    }
    let count = Int(bytes.le32(at: 24))
    guard count <= (bytes.byteCount - 64) / 32 else { return nil }
    tail = bytes.le32(at: 12)
    sequenceNumber = bytes.le64(at: 16)
    self.logGUID = logGUID
    flushedFileOffset = bytes.le64(at: 48)
    lastFileOffset = bytes.le64(at: 56)
    guard tail % 4096 == 0, tail < logByteCount, sequenceNumber > 0, bytes.le32(at: 28) == 0,
      flushedFileOffset % VHDX.alignment == 0, lastFileOffset % VHDX.alignment == 0, lastFileOffset <= 1 << 62
    else { return nil }
    var sector = Self.descriptorByteCount(count)
    guard bytes.le32(at: 4) == CRC32C.checksum(bytes, storedAt: 4) else { return nil }
    changes = []
    changes.reserveCapacity(count)
    for index in 0..<count {
      let place = 64 + 32 * index
      let offset = bytes.le64(at: place + 16)
      guard bytes.le64(at: place + 24) == sequenceNumber, offset % 4096 == 0, offset <= 1 << 62 else { return nil }
      switch bytes.le32(at: place) {
      case Self.zeroSignature:
        let length = bytes.le64(at: place + 8)
        guard length % 4096 == 0, length <= 1 << 62, bytes.le32(at: place + 4) == 0 else { return nil }
        changes.append(.zero(offset: offset, byteCount: length))
      case Self.dataSignature:
        guard sector + 4096 <= bytes.byteCount, bytes.le32(at: sector) == Self.sectorSignature,
          bytes.le32(at: sector + 4) == UInt32(truncatingIfNeeded: sequenceNumber >> 32),
          bytes.le32(at: sector + 4092) == UInt32(truncatingIfNeeded: sequenceNumber)
        else { return nil }
        let page = [UInt8](zeroed: VHDX.pageByteCount) { page in
          page.storeLE(bytes.le64(at: place + 8), at: 0)
          page.store(bytes.extracting((sector + 8)..<(sector + 4092)), at: 8)
          page.storeLE(bytes.le32(at: place + 4), at: 4092)
        }
        changes.append(.page(offset: offset, bytes: page))
        sector += 4096
      default: return nil
      }
    }
    guard sector == bytes.byteCount else { return nil }
  }
}
