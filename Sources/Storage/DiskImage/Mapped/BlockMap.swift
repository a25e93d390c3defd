import Block

/// Where the bytes of a disk stand in the file of one image: what a format with a block table gives to the engine.
///
/// The map owns all metadata of its image: it reads tables on demand, keeps what it changes in memory, and writes it in the
/// order that its format demands when a queue carries out a commit. It never moves the bytes of the disk: queues do.
///
/// All queues of an image share one map, on any thread. The functions that begin with `locate` answer without a lock when
/// nothing has to be changed; what they have to read of a table, they read at once.
protocol BlockMap: AnyObject, Sendable {
  /// What never changes while the image is open.
  var layout: MapLayout { get }

  /// Tells when places in the file that the map has given up are used by no queue any more.
  var epochs: QueueEpochs { get }

  /// Where the bytes from `offset` on are to be read.
  ///
  /// - Parameters:
  ///   - offset: on the disk, below its length.
  ///   - byteCount: above zero; offset and length are multiples of the sector size and lie on the disk.
  /// - Returns: a run at `offset` that is at most `byteCount` long, as long as it can be told cheaply.
  func locate(_ offset: UInt64, _ byteCount: UInt64) -> BlockRun

  /// Where the bytes from `offset` on are to be written; makes room in the file for a block that has none.
  ///
  /// Room that is made reads as the block read before, so that the mapping may become durable before or after the data.
  func locateWrite(_ offset: UInt64, _ byteCount: UInt64) -> WriteRun

  /// How the bytes from `offset` on are made to read as zeros.
  ///
  /// - Parameter mayUnmap: whether the storage may be given back.
  func locateZero(_ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool) -> ZeroRun

  /// Ends a write for which `locateWrite` or `locateZero` said `isRecorded`: only now are its sectors noted as present.
  ///
  /// - Parameter succeeded: false when it failed; nothing is noted then.
  func endWrite(_ offset: UInt64, _ byteCount: UInt64, succeeded: Bool)

  /// Whether there is metadata that is not durable yet, so that a flush has to be a commit. Read after the writes that are
  /// to be flushed have completed.
  var needsCommit: Bool { get }

  /// Takes all changes of metadata up to now into a commit.
  func beginCommit() -> CommitStart

  /// Goes on with the commit: called with the end of the step before, by the queue that began it.
  ///
  /// - Parameter failure: of the synchronization that was asked for; nil when it succeeded.
  func continueCommit(_ failure: BlockError?) -> CommitStep

  /// Why writes are refused from now on, after something could not be made durable; nil when all is well.
  var failure: BlockError? { get }

  /// Something could not be made durable: nothing is written from now on.
  func markFailed()

  /// Writes everything that is still to be written and marks the image as closed. No queue is in use any more.
  func close() throws(DiskImageError)
}

/// What never changes while an image is open.
struct MapLayout: Sendable, Equatable {
  /// Capacity in bytes.
  var byteCount: UInt64
  /// Logical sector size in bytes.
  var sectorByteCount: Int
  /// Physical sector size in bytes.
  var physicalSectorByteCount: Int
  /// The unit in bytes in which storage is taken and given back.
  var blockByteCount: UInt64
  /// Whether what is not here is to be looked for in a parent.
  var hasParent: Bool
  /// Whether it may not be written.
  var isReadOnly: Bool
  /// 16 bytes that name the disk.
  var identity: DiskIdentity
}

/// Where a run of bytes is to be read.
enum BlockRun: Equatable, Sendable {
  /// In the file of the image.
  case data(fileOffset: UInt64, byteCount: UInt64)
  /// It reads as zeros; the search ends.
  case zero(byteCount: UInt64)
  /// In the parent at the same offset; beyond the end of the parent it reads as zeros.
  case parent(byteCount: UInt64)
  /// The table says something impossible, or can't be read.
  case failed(BlockError)
}

/// Where a run of bytes is to be written.
enum WriteRun: Equatable, Sendable {
  /// In the file of the image; `endWrite` is to be called afterwards if `isRecorded`.
  case data(fileOffset: UInt64, byteCount: UInt64, isRecorded: Bool)
  /// Only after the next end of a commit: the queue begins one unless another does.
  case afterCommit
  /// Not at all.
  case failed(BlockError)
}

/// How a run of bytes is made to read as zeros.
enum ZeroRun: Equatable, Sendable {
  /// It does so now.
  case done(byteCount: UInt64)
  /// By zeros in the file of the image, or a hole; `endWrite` is to be called afterwards if `isRecorded`.
  case data(fileOffset: UInt64, byteCount: UInt64, isRecorded: Bool)
  /// Only after the next end of a commit: the queue begins one unless another does.
  case afterCommit
  /// Not at all.
  case failed(BlockError)
}

/// How a commit begins.
enum CommitStart: Equatable, Sendable {
  /// There is nothing to commit.
  case nothing
  /// Another queue is committing; its end may not cover what is wanted, so that one asks again afterwards.
  case busy
  /// This queue commits: it carries the step out and calls `continueCommit`.
  case step(CommitStep)
}

/// What the queue that commits does next.
enum CommitStep: Equatable, Sendable {
  /// Makes everything that was written to the file up to now durable.
  case synchronize
  /// Nothing: all that `beginCommit` took is durable, or could not be made so.
  case done(BlockError?)
}
