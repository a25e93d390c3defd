import WireBytes

/// The parameter list of UNMAP (T10 SBC-3), checked and read in place: no copy, no allocation.
///
/// The bytes must be the caller's own, not memory that the peer can still change.
public struct UnmapList: ~Escapable {
  private let bytes: RawSpan
  /// The number of descriptors.
  public let count: Int

  /// The bytes before the descriptors.
  public static let headerByteCount = 8
  /// The bytes of a descriptor.
  public static let descriptorByteCount = 16

  /// The bytes of a list of `count` descriptors.
  public static func byteCount(descriptors count: Int) -> Int {
    headerByteCount + descriptorByteCount * count
  }

  /// Checks the header of a list; no bytes at all are a list without descriptors.
  ///
  /// An incomplete last descriptor and bytes after the descriptors are ignored.
  /// - Throws: `tooShort` if the descriptors reach past the bytes, `invalidField` if the two lengths disagree.
  @_lifetime(copy bytes)
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    self.bytes = bytes
    guard bytes.byteCount > 0 else {
      count = 0
      return
    }
    try bytes.require(UnmapList.headerByteCount)
    let dataLength = Int(bytes.be16(at: 0))
    let descriptorLength = Int(bytes.be16(at: 2))
    guard dataLength >= descriptorLength + 6 || descriptorLength == 0 else { throw .invalidField(offset: 0) }
    try bytes.require(UnmapList.headerByteCount + descriptorLength)
    count = descriptorLength / UnmapList.descriptorByteCount
  }

  /// The blocks of the descriptor at `index`, which must be below ``count``. The run may be empty, and lie anywhere.
  public subscript(index: Int) -> BlockExtent {
    precondition(index >= 0 && index < count)
    let offset = UnmapList.byteCount(descriptors: index)
    return BlockExtent(lba: bytes.be64(at: offset), blocks: bytes.be32(at: offset + 8))
  }

  /// Stores the header of a list of `count` descriptors, at most 4095, at the start of `target`.
  @_lifetime(target: copy target)
  public static func storeHeader(descriptors count: Int, into target: inout MutableRawSpan) {
    precondition(count >= 0 && count <= 4095)
    target.storeBE(UInt16(byteCount(descriptors: count) - 2), at: 0)
    target.storeBE(UInt16(descriptorByteCount * count), at: 2)
    target.storeBE(UInt32(0), at: 4)
  }

  /// Stores the descriptor at `index` of a list that begins at the start of `target`.
  @_lifetime(target: copy target)
  public static func store(_ extent: BlockExtent, at index: Int, into target: inout MutableRawSpan) {
    let offset = byteCount(descriptors: index)
    target.storeBE(extent.lba, at: offset)
    target.storeBE(extent.blocks, at: offset + 8)
    target.storeBE(UInt32(0), at: offset + 12)
  }

  /// Stores a list with one descriptor at the start of `target` and returns its 24 bytes.
  @_lifetime(target: copy target)
  @discardableResult
  public static func encode(_ extent: BlockExtent, into target: inout MutableRawSpan) -> Int {
    storeHeader(descriptors: 1, into: &target)
    store(extent, at: 0, into: &target)
    return byteCount(descriptors: 1)
  }
}
