import WireBytes

/// An entry of the log: pages of metadata that are to be written, and ranges that are to be zeroed.
public struct VHDXLogEntry: Hashable, Sendable {
  /// Distinguishes the entry from those before: one more each time, above zero.
  public var sequenceNumber: UInt64
  /// The log that it belongs to; equals that of the header.
  public var logGUID: GUID
  /// Where in the log, in bytes, the oldest entry stands that is still needed.
  public var tail: UInt32
  /// Length of the file that is known to be durable, in bytes.
  public var flushedFileOffset: UInt64
  /// Length of the file that holds all structures, in bytes.
  public var lastFileOffset: UInt64
  /// What it does, in order.
  public var changes: [Change]

  /// One change.
  public enum Change: Hashable, Sendable {
    /// Writes 4096 bytes at an offset in the file.
    case page(offset: UInt64, bytes: [UInt8])
    /// Writes zeros.
    case zero(offset: UInt64, byteCount: UInt64)

    /// The bytes of the file that it changes.
    public var range: Range<UInt64> {
      switch self {
      case .page(let offset, _): offset..<(offset + UInt64(VHDX.pageByteCount))
      case .zero(let offset, let byteCount): offset..<(offset + byteCount)
      }
    }
  }

  /// An entry.
  public init(
    sequenceNumber: UInt64, logGUID: GUID, tail: UInt32, flushedFileOffset: UInt64, lastFileOffset: UInt64,
    changes: [Change] = []
  ) {
    self.sequenceNumber = sequenceNumber
    self.logGUID = logGUID
    self.tail = tail
    self.flushedFileOffset = flushedFileOffset
    self.lastFileOffset = lastFileOffset
    self.changes = changes
  }

  /// How many pages an entry may have so that its descriptors fill one sector, which is all that some readers replay.
  public static let maximumPageCount = 126

  /// The length in bytes of the descriptors of `count` changes, with the header.
  public static func descriptorByteCount(_ count: Int) -> Int { (64 + 32 * count + 4095) / 4096 * 4096 }

  /// The length on disk in bytes.
  public var byteCount: Int {
    let pages = changes.count { if case .page = $0 { true } else { false } }
    return Self.descriptorByteCount(changes.count) + 4096 * pages
  }

  /// The bytes on disk.
  public func encoded() -> [UInt8] {
    let total = byteCount
    let data = Self.descriptorByteCount(changes.count)
    var bytes = [UInt8](zeroed: total) { bytes in
      bytes.storeLE(Self.signature, at: 0)
      bytes.storeLE(UInt32(total), at: 8)
      bytes.storeLE(tail, at: 12)
      bytes.storeLE(sequenceNumber, at: 16)
      bytes.storeLE(UInt32(changes.count), at: 24)
      logGUID.store(into: &bytes, at: 32)
      bytes.storeLE(flushedFileOffset, at: 48)
      bytes.storeLE(lastFileOffset, at: 56)
      var sector = data
      for (index, change) in changes.enumerated() {
        let place = 64 + 32 * index
        bytes.storeLE(change.range.lowerBound, at: place + 16)
        bytes.storeLE(sequenceNumber, at: place + 24)
        switch change {
        case .zero(_, let byteCount):
          bytes.storeLE(Self.zeroSignature, at: place)
          bytes.storeLE(byteCount, at: place + 8)
        case .page(_, let page):
          precondition(page.count == VHDX.pageByteCount)
          let source = page.rawSpan
          bytes.storeLE(Self.dataSignature, at: place)
          bytes.storeLE(source.le32(at: 4092), at: place + 4)
          bytes.storeLE(source.le64(at: 0), at: place + 8)
          bytes.storeLE(Self.sectorSignature, at: sector)
          bytes.storeLE(UInt32(truncatingIfNeeded: sequenceNumber >> 32), at: sector + 4)
          bytes.store(source.extracting(8..<4092), at: sector + 8)
          bytes.storeLE(UInt32(truncatingIfNeeded: sequenceNumber), at: sector + 4092)
          sector += 4096
        }
      }
    }
    let checksum = CRC32C.checksum(bytes.rawSpan)
    bytes.withMutableBytes { $0.storeLE(checksum, at: 4) }
    return bytes
  }

  /// The bytes `loge`, `desc`, `zero`, `data`.
  static let signature: UInt32 = 0x6567_6f6c
  static let dataSignature: UInt32 = 0x6373_6564
  static let zeroSignature: UInt32 = 0x6f72_657a
  static let sectorSignature: UInt32 = 0x6174_6164
}
