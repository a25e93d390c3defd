import Ethernet
import SharedMemory

/// What a cell of an inbox says about its frame. Producers and the consumer live in one process, so that it is trusted.
struct InboxCell: Equatable {
  var byteCount: Int
  var offload: FrameOffload

  init(byteCount: Int, offload: FrameOffload) {
    self.byteCount = byteCount
    self.offload = offload
  }

  /// Stores three words behind the sequence word.
  func store(into header: MemorySlice) {
    var first = UInt64(UInt32(byteCount))
    var second: UInt64 = 0
    switch offload.checksum {
    case .complete: break
    case .partial(let start, let offset):
      first |= 1 << 32
      second |= UInt64(start) | UInt64(offset) << 16
    case .verified: first |= 2 << 32
    }
    switch offload.segmentation {
    case .none: break
    case .tcp4(let segment, let end):
      first |= 1 << 34
      second |= UInt64(segment) << 32 | UInt64(end) << 48
    case .tcp6(let segment, let end):
      first |= 2 << 34
      second |= UInt64(segment) << 32 | UInt64(end) << 48
    }
    if let vlan = offload.vlan { first |= 1 << 36 | UInt64(vlan) << 48 }
    if offload.flowHash != nil { first |= 1 << 37 }
    header.storeLE64(first, at: 8)
    header.storeLE64(second, at: 16)
    header.storeLE64(UInt64(offload.flowHash ?? 0), at: 24)
  }

  init(loading header: MemorySlice) {
    let first = header.loadLE64(at: 8)
    let second = header.loadLE64(at: 16)
    byteCount = Int(UInt32(truncatingIfNeeded: first))
    offload = .plain
    func part(_ shift: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: second >> shift) }
    switch first >> 32 & 3 {
    case 1: offload.checksum = .partial(start: part(0), offset: part(16))
    case 2: offload.checksum = .verified
    default: break
    }
    switch first >> 34 & 3 {
    case 1: offload.segmentation = .tcp4(segmentByteCount: part(32), headerByteCount: part(48))
    case 2: offload.segmentation = .tcp6(segmentByteCount: part(32), headerByteCount: part(48))
    default: break
    }
    if first & 1 << 36 != 0 { offload.vlan = UInt16(truncatingIfNeeded: first >> 48) }
    if first & 1 << 37 != 0 { offload.flowHash = UInt32(truncatingIfNeeded: header.loadLE64(at: 24)) }
  }
}
