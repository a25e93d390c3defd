/// What changes while a VHD is open, under one lock.
struct VHDState: Sendable {
  /// Behind the last block that has a place: where the footer stands after the next commit.
  var lastUsed: UInt64
  /// Length of the file in bytes.
  var fileByteCount: UInt64
  /// Whether the footer has to be written at `lastUsed`.
  var footerMoved = false
  /// Pages of the block table that were changed; pinned.
  var tablePages: Set<Int> = []
  /// Units of the bitmaps that were changed; their pages are pinned once for each.
  var bitmapUnits: Set<Int> = []
  /// Units that writes in flight will change when they end, and how many writes; pinned likewise.
  var reservedUnits: [Int: Int] = [:]
  /// The commit that is under way.
  var commit: VHDCommit?
  var isClosed = false

  /// The most pages, and units, that are changed at the same time; a commit under way may hold as many.
  static let pageLimit = 200

  /// Whether so many more units can be changed.
  func hasRoom(for units: ClosedRange<Int>) -> Bool {
    let new = units.count { !bitmapUnits.contains($0) && reservedUnits[$0] == nil }
    return bitmapUnits.count + reservedUnits.count + new <= Self.pageLimit
  }
}

/// A commit under way.
struct VHDCommit: Sendable {
  /// Pages of the block table and units of the bitmaps as they were when it began.
  var tablePages: [(page: Int, bytes: [UInt8])]
  var bitmapUnits: [(unit: Int, bytes: [UInt8])]
  /// Whether the data become durable now, or the tables.
  var isWritingTables = false
}
