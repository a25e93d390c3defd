import WireBytes

/// One of the two headers: which is current, where the log is, and identifiers that change with the contents.
public struct VHDXHeader: Hashable, Sendable {
  /// Length on disk in bytes; the checksum covers all of it.
  public static let byteCount = 4096

  /// The header with the greater number is current.
  public var sequenceNumber: UInt64
  /// New before the first change of each writable open.
  public var fileWriteGUID: GUID
  /// New before the first change of each writable open that a guest can see; children name it.
  public var dataWriteGUID: GUID
  /// Marks the entries of the log that count; zero: the log is empty.
  public var logGUID: GUID
  /// Version of the log: 0.
  public var logVersion: UInt16
  /// Version of the file: 1.
  public var version: UInt16
  /// Length of the log in bytes.
  public var logByteCount: UInt32
  /// Where the log stands, in bytes.
  public var logOffset: UInt64

  /// A header.
  public init(
    sequenceNumber: UInt64, fileWriteGUID: GUID, dataWriteGUID: GUID, logGUID: GUID = .zero, logVersion: UInt16 = 0,
    version: UInt16 = 1, logByteCount: UInt32, logOffset: UInt64
  ) {
    self.sequenceNumber = sequenceNumber
    self.fileWriteGUID = fileWriteGUID
    self.dataWriteGUID = dataWriteGUID
    self.logGUID = logGUID
    self.logVersion = logVersion
    self.version = version
    self.logByteCount = logByteCount
    self.logOffset = logOffset
  }

  /// Reads a header; nil unless signature and checksum are right. Whether its values can be is not looked at.
  public init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= Self.byteCount, bytes.le32(at: 0) == Self.signature,
      bytes.le32(at: 4) == CRC32C.checksum(bytes.extracting(0..<Self.byteCount), storedAt: 4)
    else { return nil }
    sequenceNumber = bytes.le64(at: 8)
    fileWriteGUID = GUID(parsing: bytes, at: 16)
    dataWriteGUID = GUID(parsing: bytes, at: 32)
    logGUID = GUID(parsing: bytes, at: 48)
    logVersion = bytes.le16(at: 64)
    version = bytes.le16(at: 66)
    logByteCount = bytes.le32(at: 68)
    logOffset = bytes.le64(at: 72)
  }

  /// The bytes on disk.
  public func encoded() -> [UInt8] {
    var bytes = [UInt8](zeroed: Self.byteCount) { bytes in
      bytes.storeLE(Self.signature, at: 0)
      bytes.storeLE(sequenceNumber, at: 8)
      fileWriteGUID.store(into: &bytes, at: 16)
      dataWriteGUID.store(into: &bytes, at: 32)
      logGUID.store(into: &bytes, at: 48)
      bytes.storeLE(logVersion, at: 64)
      bytes.storeLE(version, at: 66)
      bytes.storeLE(logByteCount, at: 68)
      bytes.storeLE(logOffset, at: 72)
    }
    let checksum = CRC32C.checksum(bytes.rawSpan)
    bytes.withMutableBytes { $0.storeLE(checksum, at: 4) }
    return bytes
  }

  /// The bytes `head`.
  private static let signature: UInt32 = 0x6461_6568
}

extension VHDXHeader {
  /// Which of the two headers is current.
  public enum Choice: Equatable, Sendable {
    /// The header in this slot, 0 or 1.
    case current(VHDXHeader, slot: Int)
    /// Neither can be read.
    case none
    /// Both claim to be current and differ.
    case contradiction
  }

  /// Chooses the current header of the two as they stand on disk, each nil when it can't be read.
  public static func choose(_ first: VHDXHeader?, _ second: VHDXHeader?) -> Choice {
    switch (first, second) {
    case (nil, nil): return .none
    case (let header?, nil): return .current(header, slot: 0)
    case (nil, let header?): return .current(header, slot: 1)
    case (let first?, let second?):
      if first.sequenceNumber == second.sequenceNumber {
        return first == second ? .current(first, slot: 0) : .contradiction
      }
      return first.sequenceNumber > second.sequenceNumber
        ? .current(first, slot: 0) : .current(second, slot: 1)
    }
  }
}
