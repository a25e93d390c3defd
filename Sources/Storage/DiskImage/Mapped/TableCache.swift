import LinuxIO
import SharedMemory
import Synchronization
import WireBytes

/// Pages of the tables of an image, in memory as far as they were asked for and at most so many.
///
/// Words are read without a lock by any thread. Pages that are pinned stay: those that were changed and are not yet where
/// they are read from again. A page that is not pinned is given up for another one when there is no room left.
final class TableCache: Sendable {
  static let pageByteCount = 4096
  static let wordCount = 512
  /// How many pages are read at once.
  private let groupCount: Int

  /// How many pages the table has.
  let pageCount: Int
  /// The most pages in memory.
  let capacity: Int
  /// For each page a word: generation << 24 | slot + 1, or 0 when it is not in memory. Only what is used takes memory.
  private let directory: MemoryRegion
  private let pool: MemoryRegion
  private let books: Mutex<Books>

  private struct Books {
    /// The page in each slot that was used so far, and how often it is pinned.
    var pages: [Int] = []
    var pins: [Int] = []
    var hand = 0
    var generation: UInt64 = 1
  }

  /// - Parameters:
  ///   - byteLimit: how many bytes the pages may take.
  ///   - groupCount: how many pages are read at once.
  init(pageCount: Int, byteLimit: Int = 64 << 20, groupCount: Int = 16) throws(Errno) {
    self.pageCount = pageCount
    self.groupCount = groupCount
    // More pages are pinned at no time than a commit may take.
    capacity = max(512, min(pageCount, byteLimit / Self.pageByteCount))
    directory = try MemoryRegion(anonymous: max(1, pageCount) * 8)
    pool = try MemoryRegion(anonymous: capacity * Self.pageByteCount)
    books = Mutex(Books())
  }

  /// The little-endian word `index` of a page; nil when the page is not in memory.
  func word(_ page: Int, _ index: Int) -> UInt64? {
    let place = directory.slice.loadLE64(at: page * 8)
    guard place != 0 else { return nil }
    fullMemoryFence()
    let word = pool.slice.loadLE64(at: Self.offset(place) + index * 8)
    fullMemoryFence()
    // Unless the page is still there, the word may have been one of another page.
    return directory.slice.loadLE64(at: page * 8) == place ? word : nil
  }

  /// Brings a page into memory, and its neighbours.
  ///
  /// - Parameter read: answers the bytes of pages from the first one on, at most as many as asked for; what is missing
  ///   reads as zeros.
  func load(_ page: Int, _ read: (_ first: Int, _ count: Int) throws(Errno) -> [UInt8]) throws(Errno) {
    try books.withLock { books throws(Errno) in
      if directory.slice.loadLE64(at: page * 8) != 0 { return }
      let first = page / groupCount * groupCount
      let count = min(groupCount, pageCount - first)
      // Read under the lock, so that nobody can change a page and give it up meanwhile.
      let bytes = try read(first, count)
      // The page itself comes last, so that its neighbours can't push it out.
      for other in (first..<(first + count)).filter({ $0 != page }) + [page] {
        guard directory.slice.loadLE64(at: other * 8) == 0 else { continue }
        guard let slot = Self.takeSlot(&books, capacity, directory) else {
          if other == page { throw .ENOMEM }
          continue
        }
        let target = pool.slice.slice(at: slot * Self.pageByteCount, count: Self.pageByteCount)
        let start = min(bytes.count, (other - first) * Self.pageByteCount)
        let end = min(bytes.count, start + Self.pageByteCount)
        if end - start < Self.pageByteCount { target.fill(0) }
        target.copyIn(bytes.rawSpan.extracting(start..<end))
        books.pages[slot] = other
        books.generation += 1
        fullMemoryFence()
        directory.slice.storeLE64(books.generation << 24 | UInt64(slot + 1), at: other * 8)
      }
    }
  }

  private static func takeSlot(_ books: inout Books, _ capacity: Int, _ directory: MemoryRegion) -> Int? {
    if books.pages.count < capacity {
      books.pages.append(-1)
      books.pins.append(0)
      return books.pages.count - 1
    }
    for _ in 0..<capacity {
      let slot = books.hand
      books.hand = (books.hand + 1) % capacity
      if books.pins[slot] > 0 { continue }
      if books.pages[slot] >= 0 { directory.slice.storeLE64(0, at: books.pages[slot] * 8) }
      books.pages[slot] = -1
      fullMemoryFence()
      return slot
    }
    return nil
  }

  /// Keeps a page in memory until `unpin`; false when it is not there now.
  func pin(_ page: Int) -> Bool {
    books.withLock {
      let place = directory.slice.loadLE64(at: page * 8)
      guard place != 0 else { return false }
      $0.pins[Self.offset(place) / Self.pageByteCount] += 1
      return true
    }
  }

  /// Takes one `pin` back.
  func unpin(_ page: Int) {
    books.withLock {
      let place = directory.slice.loadLE64(at: page * 8)
      precondition(place != 0, "the page was pinned")
      $0.pins[Self.offset(place) / Self.pageByteCount] -= 1
    }
  }

  /// Changes a word of a page that is pinned. One thread at a time changes words.
  func setWord(_ page: Int, _ index: Int, to value: UInt64) {
    let place = directory.slice.loadLE64(at: page * 8)
    precondition(place != 0, "the page was pinned")
    pool.slice.storeLE64(value, at: Self.offset(place) + index * 8)
  }

  /// A copy of a page that is pinned.
  func bytes(_ page: Int) -> [UInt8] {
    let place = directory.slice.loadLE64(at: page * 8)
    precondition(place != 0, "the page was pinned")
    return pool.slice.slice(at: Self.offset(place), count: Self.pageByteCount).bytes()
  }

  /// How many bytes of pages have been in memory at most.
  var usedByteCount: Int { books.withLock { $0.pages.count * Self.pageByteCount } }

  private static func offset(_ place: UInt64) -> Int { (Int(place & 0xff_ffff) - 1) * pageByteCount }
}
