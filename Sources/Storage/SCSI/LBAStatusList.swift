import WireBytes

/// What GET LBA STATUS returns (T10 SBC-3).
public struct LBAStatusList: Equatable, Sendable {
  /// How a run of blocks is provisioned; four bits.
  public struct Provisioning: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt8

    /// A value as it came over the wire, known or not.
    public init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// The blocks have space, or it is not known.
    public static let mapped = Provisioning(rawValue: 0)
    /// The blocks have no space.
    public static let deallocated = Provisioning(rawValue: 1)
    /// The blocks have space reserved but no data.
    public static let anchored = Provisioning(rawValue: 2)
  }

  /// A run of blocks that are provisioned alike.
  public struct Descriptor: Equatable, Sendable {
    /// The blocks.
    public var extent: BlockExtent
    /// How they are provisioned.
    public var provisioning: Provisioning

    /// A run with its state.
    public init(_ extent: BlockExtent, _ provisioning: Provisioning) {
      self.extent = extent
      self.provisioning = provisioning
    }
  }

  /// The runs, from the asked block on.
  public var descriptors: [Descriptor]

  /// A list of `descriptors`.
  public init(_ descriptors: [Descriptor]) {
    self.descriptors = descriptors
  }

  /// Parses at least 8 bytes; a list that was truncated gives the descriptors that are whole.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    try bytes.require(8)
    let end = min(bytes.byteCount, 4 + Int(bytes.be32(at: 0)))
    descriptors = []
    for offset in stride(from: 8, through: end - 16, by: 16) {
      descriptors.append(
        Descriptor(
          BlockExtent(lba: bytes.be64(at: offset), blocks: bytes.be32(at: offset + 8)),
          Provisioning(rawValue: bytes.byte(at: offset + 12) & 0x0f)))
    }
  }

  /// The bytes that ``encode(into:)`` gives.
  public var byteCount: Int { 8 + 16 * descriptors.count }

  /// Stores the list at the start of `target`, which must have ``byteCount`` bytes, and returns their number.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    let total = byteCount
    target.zero(from: 0, count: total)
    target.storeBE(UInt32(total - 4), at: 0)
    for (index, descriptor) in descriptors.enumerated() {
      let offset = 8 + 16 * index
      target.storeBE(descriptor.extent.lba, at: offset)
      target.storeBE(descriptor.extent.blocks, at: offset + 8)
      target.storeBE(descriptor.provisioning.rawValue & 0x0f, at: offset + 12)
    }
    return total
  }
}
