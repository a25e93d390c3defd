import ImageFormats

/// What changes while an image is open, under one lock.
struct VHDXState: Sendable {
  /// The header as it was written last.
  var header: VHDXHeaderWriter
  /// Region tables to be written through the log with the first change.
  var regionTables: [UInt8]?

  /// Length of the file in bytes.
  var fileByteCount: UInt64
  /// Behind the last place that is in use or was handed out.
  var lastUsed: UInt64
  /// Whether `lastUsed` was told by the table; otherwise it is the length of the file at the time of opening.
  var isLastUsedKnown: Bool

  /// Pages that are to be committed, by their place in the file.
  var dirty: [UInt64: VHDXPage] = [:]
  /// Pages that writes in flight will change when they end: how many writes, by place in the file.
  var reserved: [UInt64: VHDXReservation] = [:]
  /// Whether the changes need their data to be durable first.
  var needsDataFirst = false
  /// Places of blocks that the next commit gives up, and the epoch up to which requests may use them.
  var leaving: [(offset: UInt64, epoch: UInt64)] = []
  /// Places that are given up for good, but may be in use by requests.
  var left: [(offset: UInt64, epoch: UInt64)] = []
  /// Places of blocks that were nobody's when the image was opened; what they hold is not known.
  var gaps: [UInt64] = []
  /// Places of blocks that read as zeros and are nobody's.
  var free: [UInt64] = []

  /// The log, once the image is being changed.
  var log: VHDXLogWriter
  /// The commit that is under way.
  var commit: VHDXCommit?
  var isClosed = false

  init(_ structure: VHDXStructure, isLastUsedKnown: Bool) {
    header = VHDXHeaderWriter(header: structure.header, slot: structure.headerSlot)
    regionTables = structure.needsRegionTables ? structure.regions.encoded() : nil
    fileByteCount = structure.fileByteCount
    lastUsed = (structure.fileByteCount + VHDX.alignment - 1) / VHDX.alignment * VHDX.alignment
    self.isLastUsedKnown = isLastUsedKnown
    log = VHDXLogWriter(offset: structure.header.logOffset, byteCount: structure.header.logByteCount)
  }

  /// The most pages that one commit takes, so that its entry has one sector of descriptors; some are left for pages that
  /// are reserved.
  static let maximumPageCount = 120

  /// Whether `pages` may be changed before the next commit.
  func hasRoom(for pages: [VHDXPage]) -> Bool {
    let new = Set(pages.map(\.offset)).filter { dirty[$0] == nil && reserved[$0] == nil }
    let both = reserved.keys.count { dirty[$0] == nil }
    return dirty.count + both + new.count <= Self.maximumPageCount
  }
}

/// A page of metadata, and where its contents are.
struct VHDXPage: Hashable, Sendable {
  /// Its place in the file.
  var offset: UInt64
  var content: Content

  enum Content: Hashable, Sendable {
    /// Page of the block table.
    case table(Int)
    /// Page of the sector bitmaps.
    case bitmap(Int)
    /// Bytes that are in no cache.
    case bytes([UInt8])
  }
}

/// Writes in flight that will change a page.
struct VHDXReservation: Sendable {
  var page: VHDXPage
  var count: Int
}

/// A commit under way.
struct VHDXCommit: Sendable {
  /// The pages as they were when it began.
  var pages: [(page: VHDXPage, bytes: [UInt8])]
  /// Places that are given up with it.
  var leaving: [(offset: UInt64, epoch: UInt64)]
  var phase: Phase
  /// Length of the file when the synchronization began that is under way.
  var byteCountAtSynchronize: UInt64

  enum Phase: Sendable {
    /// Data, and what earlier commits have applied, become durable.
    case data
    /// The entry of the log becomes durable, and everything before.
    case log
  }
}
