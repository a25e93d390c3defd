import Block

/// The block map of a parent whose bytes stand in its file in their order: a fixed VHD. It is never written.
final class FixedMap: BlockMap {
  let layout: MapLayout
  let epochs = QueueEpochs()

  init(byteCount: UInt64, identity: DiskIdentity) {
    layout = MapLayout(
      byteCount: byteCount, sectorByteCount: 512, physicalSectorByteCount: 512, blockByteCount: 2 << 20,
      hasParent: false, isReadOnly: true, identity: identity)
  }

  func locate(_ offset: UInt64, _ byteCount: UInt64) -> BlockRun {
    .data(fileOffset: offset, byteCount: min(byteCount, layout.byteCount - offset))
  }

  func locateWrite(_ offset: UInt64, _ byteCount: UInt64) -> WriteRun { .failed(.readOnly) }
  func locateZero(_ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool) -> ZeroRun { .failed(.readOnly) }
  func endWrite(_ offset: UInt64, _ byteCount: UInt64, succeeded: Bool) {}
  var needsCommit: Bool { false }
  func beginCommit() -> CommitStart { .nothing }
  func continueCommit(_ failure: BlockError?) -> CommitStep { .done(nil) }
  var failure: BlockError? { nil }
  func markFailed() {}
  func close() {}
}
