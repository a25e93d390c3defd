import Block
import ImageFormats
import LinuxIO
import Synchronization

/// Room in the file. All room that is handed out reads as zeros.
extension VHDXMap {
  /// The file grows by so many bytes at once at least.
  static let growthByteCount: UInt64 = 32 << 20

  /// A place of `byteCount` bytes, whole MiB.
  func takeRoom(_ byteCount: UInt64, _ state: inout VHDXState) throws(BlockError) -> UInt64 {
    if byteCount == geometry.blockByteCount {
      reclaim(&state)
      if let place = state.free.popLast() {
        // The hole in the place becomes durable before the entry that names it.
        state.needsDataFirst = true
        return place
      }
    }
    let place = state.lastUsed
    let end = place + byteCount
    if end > state.fileByteCount {
      let length = place + max(byteCount, Self.growthByteCount)
      do throws(Errno) { try file.truncate(to: length) } catch { throw blockError(error) }
      state.fileByteCount = length
      fileEnd.store(length, ordering: .releasing)
    }
    state.lastUsed = end
    return place
  }

  /// Whether so much waits for a commit to become free that the file should not grow before that.
  func hasManyLeaving(_ state: VHDXState) -> Bool {
    guard state.free.isEmpty, state.leaving.count > 1 else { return false }
    return UInt64(state.leaving.count) * geometry.blockByteCount >= Self.growthByteCount
  }

  /// Makes zeros of places that were given up and that no request uses any more; the storage goes back to the filesystem.
  func reclaim(_ state: inout VHDXState) {
    guard let first = state.left.first, epochs.isOver(first.epoch) else { return }
    var waiting: [(offset: UInt64, epoch: UInt64)] = []
    for place in state.left {
      if !epochs.isOver(place.epoch) {
        waiting.append(place)
        continue
      }
      do throws(Errno) {
        try file.punchHole(at: place.offset, byteCount: geometry.blockByteCount)
        state.free.append(place.offset)
      } catch {
        // Where there are no holes the place is lost until the image is converted.
      }
    }
    state.left = waiting
    // The lowest place is taken first, so that the end of the file becomes free.
    state.free.sort(by: >)
  }

  /// Cuts places off the end of what is used that are nobody's. Everything has been applied.
  func findLastUsed(_ state: inout VHDXState) throws(Errno) {
    if keepsBlocks { return }
    if state.isLastUsedKnown {
      // The table is short enough to be looked at as a whole.
      do throws(DiskImageError) {
        let sweep = try VHDXSweep(self, findingLimit: 1)
        if sweep.findings.isEmpty { state.lastUsed = max(structuresEnd, sweep.end) }
      } catch {
        throw .EIO
      }
      return
    }
    for place in state.free {
      guard place + geometry.blockByteCount == state.lastUsed else { break }
      state.lastUsed = place
    }
  }
}
