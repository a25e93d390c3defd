import CLinux
public import LinuxIO
import WireBytes

/// Memory that somebody outside of this process reaches by physical page numbers: all of it is present, and the kernel
/// moves none of it as long as this object lives.
///
/// It is made of 2 MiB pages where the system can give them: then it is contiguous over 2 MiB at least, and the memory of
/// the machine does not get fragmented by small pages that cannot be moved. The kernel makes surplus huge pages for the
/// mapping and takes them back when the process ends, however that happens. Else it is ordinary memory. In both cases it is
/// pinned as the registered buffer of an io_uring, the one long-term pin that a program can ask for: mlock(2) alone keeps
/// pages from being swapped out, but not from being moved.
@safe public final class DMAMemory: Sendable {
  /// What the memory is made of.
  public enum Kind: Sendable, Equatable {
    /// Pages of 2 MiB.
    case hugePages
    /// Pages of 4 KiB.
    case smallPages
  }

  /// What the memory is made of.
  public let kind: Kind
  /// The mapping.
  public let region: MemoryRegion
  /// The physical page frame number of each 4 KiB, in the order of the mapping.
  public let pages: [UInt64]
  private let pin: OwnedDescriptor?

  /// Memory of at least `byteCount` bytes, zeroed.
  ///
  /// - Parameter kinds: what is tried, in this order.
  /// - Throws: EPERM for who may not see page numbers (CAP_SYS_ADMIN), ENOMEM; where there is no io_uring, and no huge page
  ///   either, its errno.
  public init(byteCount: Int, kinds: [Kind] = [.hugePages, .smallPages]) throws(Errno) {
    var failure = Errno.EINVAL
    var made: (Kind, MemoryRegion)?
    for kind in kinds where made == nil {
      do throws(Errno) { made = (kind, try Self.map(kind, byteCount)) } catch { failure = error }
    }
    guard let (kind, region) = made else { throw failure }
    self.kind = kind
    self.region = region
    do throws(Errno) {
      // SAFETY: the region stays mapped longer than the pin.
      pin = try unsafe OwnedDescriptor(adopting: check(synthgate_pin(region.slice.pointer, region.byteCount)))
    } catch {
      // Huge pages are moved only by those who take memory away from the machine.
      guard kind == .hugePages else { throw error }
      pin = nil
    }
    // Only now: pinning moves pages out of places where they can't stay.
    pages = try Self.pageNumbers(of: region.slice)
  }

  private static func map(_ kind: Kind, _ byteCount: Int) throws(Errno) -> MemoryRegion {
    switch kind {
    case .hugePages:
      let length = (byteCount + hugePageByteCount - 1) & ~(hugePageByteCount - 1)
      return try HugePages.allowing(length / hugePageByteCount) { () throws(Errno) in
        try MemoryRegion(hugePages: length)
      }
    case .smallPages:
      let region = try MemoryRegion(anonymous: byteCount)
      // SAFETY: exactly the mapped range.
      _ = try unsafe check(synthgate_populate(region.slice.pointer, region.byteCount))
      return region
    }
  }

  /// How many runs of consecutive pages the memory consists of.
  public var runCount: Int {
    pages.isEmpty ? 0 : 1 + zip(pages, pages.dropFirst()).count { $1 != $0 &+ 1 }
  }

  /// The physical page frame number of each page of `slice`, which must be whole pages that are present.
  ///
  /// - Throws: EPERM when the kernel does not tell them, ENXIO for pages that are not in memory.
  public static func pageNumbers(of slice: MemorySlice) throws(Errno) -> [UInt64] {
    guard synthgate_system_page_size() == pageByteCount, slice.address % UInt(pageByteCount) == 0 else {
      throw .EINVAL
    }
    let table = try OwnedDescriptor.open("/proc/self/pagemap", flags: O_RDONLY)
    let count = slice.byteCount / pageByteCount
    var numbers: [UInt64] = []
    numbers.reserveCapacity(count)
    while numbers.count < count {
      let part = min(count - numbers.count, 8192)
      let offset = (UInt64(slice.address) / UInt64(pageByteCount) + UInt64(numbers.count)) * 8
      let bytes = try readBytes(table.number, at: offset, count: part * 8)
      for index in 0..<part {
        let entry = PagemapEntry(rawValue: bytes.rawSpan.le64(at: index * 8))
        guard entry.isPresent else { throw .ENXIO }
        guard entry.page != 0 else { throw .EPERM }
        numbers.append(entry.page)
      }
    }
    return numbers
  }
}

/// The length of a huge page, in bytes.
let hugePageByteCount = 2 << 20

/// The kernel's limit of surplus huge pages of 2 MiB.
enum HugePages {
  private static let limitPath = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"

  /// Runs `body` while the kernel may make `count` huge pages more than it may now. Pages that were made stay until they
  /// are unmapped; the limit is as before afterwards.
  ///
  /// - Throws: the errno with which the limit can't be changed; what `body` throws.
  static func allowing<R>(_ count: Int, _ body: () throws(Errno) -> R) throws(Errno) -> R {
    let file = try OwnedDescriptor.open(limitPath, flags: O_RDWR)
    // Two who raise the limit at the same time would restore a wrong one.
    var attempts = 0
    while true {
      do throws(Errno) {
        try file.advisoryLock(exclusive: true)
        break
      } catch {
        attempts += 1
        guard error == .EAGAIN, attempts < 500 else { throw error }
        sleepThread(nanoseconds: 10_000_000)
      }
    }
    guard let before = Int(readFirstLine(limitPath) ?? "") else { throw .EINVAL }
    try writeAll(Array("\(before + count)\n".utf8), to: file.number)
    defer { try? writeAll(Array("\(before)\n".utf8), to: file.number) }
    return try body()
  }
}
