import CLinux
public import LinuxIO

/// A mapping; it is unmapped when the last reference to it ends.
@safe public final class MemoryRegion: Sendable {
  // SAFETY: written once in init; the mapping lives until deinit.
  private nonisolated(unsafe) let base: UnsafeMutableRawPointer

  /// Length in bytes.
  public let byteCount: Int

  /// Whether the memory may vanish under the mapping.
  private let isGuarded: Bool

  /// The whole region. It may be used as long as the region is referenced.
  public var slice: MemorySlice {
    // SAFETY: exactly the mapped range.
    unsafe MemorySlice(base: base, byteCount: byteCount)
  }

  /// Private zeroed memory of at least `byteCount` bytes, aligned to pages.
  public init(anonymous byteCount: Int) throws(Errno) {
    isGuarded = false
    self.byteCount = max(pageByteCount, (byteCount + pageByteCount - 1) & ~(pageByteCount - 1))
    unsafe base = try Self.map(
      at: nil, count: self.byteCount, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, descriptor: -1, offset: 0)
  }

  /// The whole of `file`, shared.
  public init(sharing file: MemoryFile) throws(Errno) {
    isGuarded = false
    byteCount = file.byteCount
    unsafe base = try Self.map(
      at: nil, count: byteCount, flags: MAP_SHARED, descriptor: file.descriptor, offset: 0)
  }

  /// Pages of `file`, shared, one after the other at consecutive addresses, whatever their place in the file.
  ///
  /// - Parameter pages: page numbers (offset / 4096) inside the file.
  /// - Throws: EINVAL when a page lies outside.
  public init(sharing pages: [Int], of file: MemoryFile) throws(Errno) {
    let filePages = file.byteCount / pageByteCount
    guard !pages.isEmpty, pages.allSatisfy({ $0 >= 0 && $0 < filePages }) else { throw .EINVAL }
    isGuarded = false
    byteCount = pages.count * pageByteCount
    // The reservation keeps the addresses together; runs of pages then replace it piece by piece.
    // SAFETY: a new mapping at a place that the kernel chooses.
    let reserved = try unsafe Self.map(
      at: nil, count: byteCount, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, descriptor: -1, offset: 0)
    unsafe base = unsafe reserved
    var start = 0
    while start < pages.count {
      var end = start + 1
      while end < pages.count, pages[end] == pages[end - 1] + 1 { end += 1 }
      // SAFETY: the run lies inside the reservation, which nobody else uses yet.
      _ = try unsafe Self.map(
        at: reserved + start * pageByteCount, count: (end - start) * pageByteCount, flags: MAP_SHARED | MAP_FIXED,
        descriptor: file.descriptor, offset: pages[start] * pageByteCount)
      start = end
    }
  }

  /// Private zeroed memory of 2 MiB pages, all of it present; `byteCount` is a multiple of 2 MiB.
  ///
  /// - Throws: ENOMEM when the system has not so many huge pages.
  init(hugePages byteCount: Int) throws(Errno) {
    var mapped: UnsafeMutableRawPointer?
    // SAFETY: a local value is filled during the call; the mapping is this object's.
    _ = try unsafe check(synthgate_map_huge(byteCount, &mapped))
    guard let mapped = unsafe mapped else { throw .ENOMEM }
    isGuarded = false
    unsafe base = unsafe mapped
    self.byteCount = byteCount
  }

  /// `byteCount` bytes of a device file from `offset` on, shared with the device; both are multiples of the page size. The
  /// file counts as open as long as the region lives.
  ///
  /// A kernel that takes the device away may take the memory along. Who touches it afterwards finds private zeros; threads
  /// must not block SIGBUS (those of `WorkerThread` don't).
  ///
  /// - Throws: the errno of mmap(2); EINVAL for more than the device has; ENOSPC when there are a thousand such regions.
  public init(device descriptor: Int32, byteCount: Int, offset: UInt64) throws(Errno) {
    guard byteCount > 0, byteCount % pageByteCount == 0 else { throw .EINVAL }
    var mapped: UnsafeMutableRawPointer?
    // SAFETY: a local value is filled during the call; the mapping is this object's.
    _ = try unsafe check(synthgate_map_device(descriptor, byteCount, offset, &mapped))
    guard let mapped = unsafe mapped else { throw .ENOMEM }
    do throws(Errno) { _ = try unsafe check(synthgate_guard(mapped, byteCount)) } catch {
      unsafe munmap(mapped, byteCount)
      throw error
    }
    isGuarded = true
    unsafe base = unsafe mapped
    self.byteCount = byteCount
  }

  deinit {
    // SAFETY: the range was mapped by init and no slice of it is used any more.
    if isGuarded { unsafe synthgate_unguard(base) }
    unsafe munmap(base, byteCount)
  }

  /// Keeps the pages in memory (mlock), so that serving I/O never waits for the disk that it serves.
  public func lock() throws(Errno) {
    // SAFETY: exactly the mapped range.
    guard unsafe mlock(base, byteCount) == 0 else { throw Errno(rawValue: synthgate_errno()) }
  }

  /// Asks the kernel to use huge pages, where the file behind the region may have them. A request, no promise.
  public func adviseHugePages() {
    // SAFETY: advice changes no contents.
    unsafe _ = madvise(base, byteCount, MADV_HUGEPAGE)
  }

  private static func map(
    at address: UnsafeMutableRawPointer?, count: Int, flags: Int32, descriptor: Int32, offset: Int
  ) throws(Errno) -> UnsafeMutableRawPointer {
    // SAFETY: a fixed address is given only inside a reservation of this file.
    let mapped = unsafe mmap(address, count, PROT_READ | PROT_WRITE, flags, descriptor, offset)
    guard let mapped = unsafe mapped, unsafe mapped != UnsafeMutableRawPointer(bitPattern: -1) else {
      throw Errno(rawValue: synthgate_errno())
    }
    return unsafe mapped
  }
}
