/// A run of logical blocks.
public struct BlockExtent: Equatable, Hashable, BitwiseCopyable, Sendable {
  /// The first block.
  public var lba: UInt64
  /// The number of blocks; may be 0.
  public var blocks: UInt32

  /// A run of `blocks` blocks from `lba` on.
  @inlinable
  public init(lba: UInt64, blocks: UInt32) {
    self.lba = lba
    self.blocks = blocks
  }

  /// Whether the run lies on a disk of `blockCount` blocks, without overflow; an empty run too must start on the disk
  /// (SBC-3: LBA out of range).
  @inlinable
  public func fits(blockCount: UInt64) -> Bool {
    lba < blockCount && UInt64(blocks) <= blockCount - lba
  }
}
