import Block
import LinuxIO
import SharedMemory
import URing

/// Requests for ranges without memory: discard, zeroing, extents.
extension RawImageQueue {
  func submitDiscard(_ request: BlockRequest) {
    guard image.discardMethod == .blockDiscard else { return submitRange(request) }
    // Advice only: what is not a whole sector stays. There is no io_uring operation for it in liburing 2.3.
    let (start, end) = innerRange(request)
    do throws(Errno) {
      if start < end { try image.file.discardBlocks(offset: start, byteCount: end - start) }
      finish(request.tag)
    } catch {
      finish(request.tag, blockError(error))
    }
  }

  /// Makes a range read as zeros: what the file can zero by itself through the ring, the edges by writing.
  func submitRange(_ request: BlockRequest) {
    let (start, end) = innerRange(request)
    let limit = request.offset + request.byteCount
    do throws(Errno) {
      if start >= end {
        try writeZerosAtOnce(request.offset, limit)
      } else {
        try writeZerosAtOnce(request.offset, start)
        try writeZerosAtOnce(end, limit)
      }
    } catch {
      return finish(request.tag, blockError(error))
    }
    if start < end { enter(request, .allocate, start: start, end: end) } else { finish(request.tag) }
  }

  /// The part of the request that consists of whole allocation units.
  private func innerRange(_ request: BlockRequest) -> (start: UInt64, end: UInt64) {
    let unit = image.allocationAlignment
    let limit = request.offset + request.byteCount
    return ((request.offset + unit - 1) / unit * unit, limit / unit * unit)
  }

  /// Writes zeros on this thread: for the edges of a range, which are shorter than a sector.
  private func writeZerosAtOnce(_ start: UInt64, _ end: UInt64) throws(Errno) {
    var position = start
    while position < end {
      let count = min(image.zeros.byteCount, Int(end - position))
      var table = ScatterTable(capacity: 1)
      guard table.append(image.zeros.slice.slice(at: 0, count: count)) else { throw .ENOMEM }
      if isDirect {
        try writeStaged(table.list, at: position)
      } else {
        try transferRest(.write, file: image.file.number, memory: table.list, skip: 0, offset: position)
      }
      position += UInt64(count)
    }
  }

  func allocationMode(_ request: BlockRequest) -> AllocationMode {
    request.operation == .discard || request.flags.contains(.mayUnmap) ? .punchHole : .zeroRange
  }

  func completeAllocation(_ slot: Slot, _ error: Errno?) {
    let request = slot.request
    guard let error else { return finishRange(request) }
    guard error == .EOPNOTSUPP || error == .ENOSYS || error == .EINVAL else {
      return finish(request.tag, blockError(error))
    }
    if request.operation == .discard { return finish(request.tag, .notSupported) }
    writeZeros(request, start: slot.start, end: slot.end)
  }

  func completeZeros(_ slot: Slot, _ result: Int32) {
    if result < 0 { return finish(slot.request.tag, blockError(Errno(rawValue: -result))) }
    if result == 0 { return finish(slot.request.tag, .failed) }
    writeZeros(slot.request, start: slot.start + UInt64(result), end: slot.end)
  }

  /// How many zeros the next step of a slot writes: whole blocks with direct I/O, 0 when less than one is left.
  func zeroChunkByteCount(_ slot: Slot) -> Int {
    let count = min(slot.end - slot.start, UInt64(image.zeros.byteCount))
    if !isDirect { return Int(count) }
    let alignment = image.offsetAlignment
    guard slot.start % alignment == 0 else { return 0 }
    return Int(count / alignment * alignment)
  }

  private func writeZeros(_ request: BlockRequest, start: UInt64, end: UInt64) {
    var start = start
    do throws(Errno) {
      while start < end {
        if hasRing, zeroChunkByteCount(Slot(request: request, start: start, end: end)) > 0 {
          return enter(request, .writeZeros, start: start, end: end)
        }
        let blockEnd = hasRing ? min(end, (start / image.offsetAlignment + 1) * image.offsetAlignment) : end
        try writeZerosAtOnce(start, blockEnd)
        start = blockEnd
      }
    } catch {
      return finish(request.tag, blockError(error))
    }
    finishRange(request)
  }

  private func finishRange(_ request: BlockRequest) {
    if request.flags.contains(.forceUnitAccess) { enter(request, .sync) } else { finish(request.tag) }
  }

  func submitExtent(_ request: BlockRequest) {
    let file = image.file.number
    let byteCount = image.currentByteCount
    let limit = request.byteCount > 0 ? request.offset + request.byteCount : byteCount
    var end = limit
    var isAllocated = true
    do throws(Errno) {
      let data = UInt64(try seek(file, from: Int64(request.offset), toData: true))
      isAllocated = data <= request.offset
      end = isAllocated ? UInt64(try seek(file, from: Int64(request.offset), toData: false)) : data
    } catch {
      // No data behind the offset: all the rest is a hole. A file that can't tell has no holes.
      isAllocated = error != .ENXIO
    }
    finish(
      request.tag,
      extent: BlockCompletion.Extent(
        byteCount: max(1, min(end, limit) - request.offset), isAllocated: isAllocated))
  }
}
