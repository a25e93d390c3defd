import CLinux

/// The pieces of memory that one transfer reads or fills, in order: what readv(2) calls an iovec array.
///
/// A plain value that owns nothing: the table behind it belongs to the slot of the request and stays as it is until
/// the request has completed.
@safe public struct ScatterList: Sendable {
  // SAFETY: `count` initialized entries, under the rule of life time above.
  nonisolated(unsafe) let entries: UnsafeMutablePointer<iovec>
  /// How many pieces there are.
  public let count: Int
  /// The sum of their lengths.
  public let byteCount: Int

  @unsafe init(entries: UnsafeMutablePointer<iovec>, count: Int, byteCount: Int) {
    unsafe self.entries = unsafe entries
    self.count = count
    self.byteCount = byteCount
  }

  /// Piece `index`.
  public subscript(index: Int) -> MemorySlice {
    precondition(index >= 0 && index < count)
    // SAFETY: the entry was made of a slice of that length.
    return unsafe MemorySlice(base: entries[index].iov_base!, byteCount: entries[index].iov_len)
  }

  /// The iovec array, for system calls of edge targets.
  @unsafe public var vector: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(entries) }

  /// Copies bytes out, starting `offset` bytes into the list.
  public func copyOut(from offset: Int = 0, into target: inout MutableRawSpan) {
    precondition(offset >= 0 && offset <= byteCount && target.byteCount <= byteCount - offset)
    var skip = offset
    var done = 0
    var index = 0
    while done < target.byteCount {
      let piece = self[index]
      index += 1
      if skip >= piece.byteCount {
        skip -= piece.byteCount
        continue
      }
      let part = min(piece.byteCount - skip, target.byteCount - done)
      var window = target._mutatingExtracting(done..<(done + part))
      piece.slice(at: skip, count: part).copyOut(into: &window)
      done += part
      skip = 0
    }
  }

  /// Copies `source` in, starting `offset` bytes into the list.
  public func copyIn(_ source: RawSpan, at offset: Int = 0) {
    precondition(offset >= 0 && offset <= byteCount && source.byteCount <= byteCount - offset)
    var skip = offset
    var done = 0
    var index = 0
    while done < source.byteCount {
      let piece = self[index]
      index += 1
      if skip >= piece.byteCount {
        skip -= piece.byteCount
        continue
      }
      let part = min(piece.byteCount - skip, source.byteCount - done)
      piece.copyIn(source.extracting(done..<(done + part)), at: skip)
      done += part
      skip = 0
    }
  }

  /// Sets `count` bytes to zero, starting `offset` bytes into the list.
  public func zero(from offset: Int, count: Int) {
    precondition(offset >= 0 && offset <= byteCount && count <= byteCount - offset)
    var skip = offset
    var left = count
    var index = 0
    while left > 0 {
      let piece = self[index]
      index += 1
      if skip >= piece.byteCount {
        skip -= piece.byteCount
        continue
      }
      let part = min(piece.byteCount - skip, left)
      piece.slice(at: skip, count: part).fill(0)
      left -= part
      skip = 0
    }
  }
}

/// Room for the pieces of one transfer, allocated once and reused for each request of a slot.
@safe public struct ScatterTable: ~Copyable {
  // SAFETY: owned; `capacity` entries, of which `count` from `start` on are initialized; `start + count <= capacity`.
  private let entries: UnsafeMutablePointer<iovec>
  /// The most pieces it holds.
  public let capacity: Int
  private var start = 0
  private var count = 0
  private var byteCount = 0

  /// An empty table for `capacity` pieces.
  public init(capacity: Int) {
    precondition(capacity > 0)
    self.capacity = capacity
    unsafe entries = .allocate(capacity: capacity)
  }

  deinit {
    // SAFETY: allocated by init; no request uses the table any more.
    unsafe entries.deallocate()
  }

  /// Forgets all pieces.
  public mutating func removeAll() {
    start = 0
    count = 0
    byteCount = 0
  }

  /// Appends a piece, joined with the last one where the two are neighbours; false when there is no room.
  public mutating func append(_ slice: MemorySlice) -> Bool {
    if slice.byteCount == 0 { return true }
    let end = start + count
    // SAFETY: `end` never exceeds `capacity`; the `count` entries before it are initialized.
    if count > 0, unsafe entries[end - 1].iov_base! + entries[end - 1].iov_len == slice.base {
      unsafe entries[end - 1].iov_len += slice.byteCount
    } else {
      guard count < capacity else { return false }
      if end == capacity { moveToStart() }
      unsafe (entries + start + count).initialize(to: iovec(iov_base: slice.base, iov_len: slice.byteCount))
      count += 1
    }
    byteCount += slice.byteCount
    return true
  }

  /// Forgets the first `number` pieces; the others stay as they are.
  public mutating func removeFirst(_ number: Int) {
    precondition(number >= 0 && number <= count)
    for index in start..<(start + number) {
      // SAFETY: an initialized entry, see above.
      unsafe byteCount -= entries[index].iov_len
    }
    start += number
    count -= number
  }

  private mutating func moveToStart() {
    for index in 0..<count {
      // SAFETY: reads an initialized entry; its new place comes before all that are still to be read.
      unsafe entries[index] = entries[start + index]
    }
    start = 0
  }

  /// The pieces. Valid until the table is changed or ends: keep both for the request that uses the list.
  public var list: ScatterList {
    unsafe ScatterList(entries: entries + start, count: count, byteCount: byteCount)
  }
}
