import Block
import LinuxIO
import SharedMemory
import URing

/// Reads and writes.
extension RawImageQueue {
  func submitTransfer(_ request: BlockRequest) {
    guard let memory = request.memory, memory.byteCount > 0 else { return finish(request.tag) }
    if request.operation == .read { return enter(request, .transfer) }
    if isDirect, !isAligned(request, memory) {
      return finishAtOnce(request) { () throws(Errno) in try writeStaged(memory, at: request.offset) }
    }
    if isDirect || request.flags.contains(.forceUnitAccess) { return enter(request, .transfer) }
    finishAtOnce(request) { () throws(Errno) in
      let moved = try transfer(.write, file: image.file.number, memory: memory, offset: request.offset)
      if moved < memory.byteCount {
        try transferRest(.write, file: image.file.number, memory: memory, skip: moved, offset: request.offset)
      }
    }
  }

  /// Whether a request can go past the page cache.
  func isAligned(_ request: BlockRequest, _ memory: ScatterList) -> Bool {
    guard (request.offset | request.byteCount) & (image.offsetAlignment - 1) == 0 else { return false }
    for index in 0..<memory.count {
      let piece = memory[index]
      // Each piece starts a page list of its own, so that its length counts like its address.
      let length = UInt(piece.byteCount) & UInt(image.offsetAlignment - 1)
      guard piece.address & (image.memoryAlignment - 1) == 0, length == 0 else { return false }
    }
    return true
  }

  func completeTransfer(_ request: BlockRequest, _ result: Int32) {
    guard let memory = request.memory, result >= 0 else {
      return finish(request.tag, blockError(Errno(rawValue: max(1, -result))))
    }
    let moved = Int(result)
    if moved == memory.byteCount { return finish(request.tag) }
    // A short transfer is rare (a signal, a full disk, a file that was cut): the rest is moved at once, on this thread.
    // ENODATA tells that the file ends before.
    finishAtOnce(request) { () throws(Errno) in
      if request.operation == .read {
        try transferRest(
          .read, file: image.cachedDescriptor, memory: memory, skip: moved, offset: request.offset)
      } else if isDirect {
        try writeStaged(memory, at: request.offset)
      } else {
        try transferRest(.write, file: image.file.number, memory: memory, skip: moved, offset: request.offset)
      }
    }
  }

  /// Ends a request by `work` on this thread; what must be durable is then synchronized through the ring.
  private func finishAtOnce(_ request: BlockRequest, _ work: () throws(Errno) -> Void) {
    do throws(Errno) {
      try work()
    } catch {
      return finish(request.tag, blockError(error))
    }
    if request.operation == .write, request.flags.contains(.forceUnitAccess) { return enter(request, .sync) }
    finish(request.tag)
  }

  /// Writes what is not aligned for direct I/O: whole blocks are read, changed and written, on this thread, by one queue at
  /// a time. The page cache is no way: it would write neighbouring bytes back that are older than a direct write.
  func writeStaged(_ memory: ScatterList, at offset: UInt64) throws(Errno) {
    let pieces = memory.count
    try image.withStaging { staging throws(Errno) in
      var position = offset
      for index in 0..<pieces {
        var piece = memory[index]
        while piece.byteCount > 0 {
          let count = try stage(piece, at: position, in: staging)
          piece = piece.dropFirst(count)
          position += UInt64(count)
        }
      }
    }
  }

  /// Writes the start of `piece` by way of `staging`; answers how many bytes.
  private func stage(_ piece: MemorySlice, at offset: UInt64, in staging: MemorySlice) throws(Errno) -> Int {
    let alignment = image.offsetAlignment
    let fileByteCount = image.currentByteCount
    let lastBlock = fileByteCount / alignment * alignment
    var table = ScatterTable(capacity: 1)
    if offset >= lastBlock {
      // The file ends inside the block, which direct I/O therefore never touches: the page cache is coherent here.
      guard table.append(piece) else { throw .ENOMEM }
      try transferRest(
        .write, file: image.cachedDescriptor, memory: table.list, skip: 0, offset: offset)
      return piece.byteCount
    }
    let start = offset / alignment * alignment
    let lead = Int(offset - start)
    let room = min(UInt64(staging.byteCount), lastBlock - start)
    let count = min(piece.byteCount, Int(room) - lead)
    let end = (offset + UInt64(count) + alignment - 1) / alignment * alignment
    let window = staging.slice(at: 0, count: Int(end - start))
    guard table.append(window) else { throw .ENOMEM }
    if lead > 0 || end != offset + UInt64(count) {
      try transferRest(.read, file: image.file.number, memory: table.list, skip: 0, offset: start)
    }
    window.copyIn(piece.slice(at: 0, count: count), at: lead)
    try transferRest(.write, file: image.file.number, memory: table.list, skip: 0, offset: start)
    return count
  }
}
