import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel

/// The memory that the drivers of one bus hand to the host, in pieces.
///
/// To drivers it is one row of guest addresses; the page table tells channels where the pages are.
final class DMAPool: Sendable {
  /// The memory as a run of guest memory.
  let range: GuestMemory.Range
  private let memory: DMAMemory
  private let allocator: Mutex<PageAllocator>

  /// The address of the first byte, above anything that a small machine has: mistakes show.
  private static let guestAddress: UInt64 = 1 << 46

  init(byteCount: Int) throws(Errno) {
    memory = try DMAMemory(byteCount: byteCount)
    range = GuestMemory.Range(guestAddress: Self.guestAddress, region: memory.region, pages: memory.pages)
    allocator = Mutex(PageAllocator(memory.region.slice))
  }

  func allocate(byteCount: Int) throws(ChannelError) -> MemorySlice {
    guard let slice = allocator.withLock({ $0.allocate(byteCount: byteCount) }) else {
      throw .system(what: "allocating \(byteCount) bytes of pinned memory", .ENOMEM)
    }
    return slice
  }

  /// Takes memory of `allocate` back; what is not of this pool is left alone.
  func free(_ slice: MemorySlice) {
    let all = memory.region.slice
    guard slice.address >= all.address, slice.address < all.address + UInt(all.byteCount) else { return }
    allocator.withLock { $0.release(slice) }
  }

  /// Pages of 2 MiB, or of 4 KiB, and how many runs of them there are.
  var description: String {
    let runs = memory.runCount == 1 ? "one run" : "\(memory.runCount) runs"
    return "\(memory.region.byteCount >> 20) MiB in \(memory.kind == .hugePages ? "2 MiB" : "4 KiB") pages, \(runs)"
  }
}
