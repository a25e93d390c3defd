import Block
import LinuxIO
import SharedMemory
import URing

/// A queue of a raw image: what the page cache can do at once is done at once, everything else goes through an io_uring.
///
/// Buffered writes are made at once: io_uring would hand them to a thread of the kernel, which costs more than the copy.
/// Buffered reads are first tried without waiting. Direct I/O, flushes and allocation always go through the ring.
final class RawImageQueue: BlockQueue {
  private enum Step: UInt8 {
    case idle
    case transfer
    case flush
    case allocate
    case zero
  }

  private struct Slot {
    var request: BlockRequest
    var step = Step.idle
    /// Bytes of `writeZeroes` that are written already.
    var done: UInt64 = 0
  }

  let depth: Int
  private let image: RawImage
  private let ring: URing
  private let byteCount: UInt64
  private let isReadOnly: Bool
  private var slots: [Slot]
  private var finished: [BlockCompletion] = []
  private var taken: [BlockCompletion] = []
  private var prepared = 0
  /// Zeros for ranges that the file can't zero by itself; made when first needed.
  private var zeros: MemoryRegion?
  private var zeroTables: ScatterTables

  private static let zeroByteCount = 1 << 20

  init(image: RawImage, depth: Int) throws(Errno) {
    self.image = image
    self.depth = max(1, depth)
    ring = try URing(depth: self.depth)
    zeroTables = ScatterTables(count: self.depth)
    let info = image.info
    byteCount = info.byteCount
    isReadOnly = info.isReadOnly
    slots = Array(repeating: Slot(request: BlockRequest(.flush, tag: 0)), count: self.depth)
    finished.reserveCapacity(self.depth)
    taken.reserveCapacity(self.depth)
  }

  var readinessDescriptor: Int32 { ring.descriptor }

  func submit(_ request: BlockRequest) {
    precondition(Int(request.tag) < depth && slots[Int(request.tag)].step == .idle, "the tag is taken")
    if let error = check(request) { return finish(request.tag, error) }
    switch request.operation {
    case .read, .write: submitTransfer(request)
    case .flush: enter(request, .flush)
    case .discard: enter(request, .allocate)
    case .writeZeroes: enter(request, .allocate)
    case .extent: submitExtent(request)
    }
  }

  func flushSubmissions() {
    guard prepared > 0 else { return }
    prepared = 0
    try? ring.submit()
  }

  @discardableResult
  func reap(_ body: (BlockCompletion) -> Void) -> Int {
    while let (userData, result) = ring.takeCompletion() { complete(Int(userData), result) }
    var count = 0
    while !finished.isEmpty {
      // The two lists change places, so that `body` may submit while one is walked.
      swap(&finished, &taken)
      count += taken.count
      for completion in taken { body(completion) }
      taken.removeAll(keepingCapacity: true)
    }
    // Requests of several steps have put their next one into the ring.
    flushSubmissions()
    return count
  }

  func close() {}

  private func check(_ request: BlockRequest) -> BlockError? {
    switch request.operation {
    case .flush: return nil
    case .write, .discard, .writeZeroes:
      if isReadOnly { return .readOnly }
    case .read, .extent: break
    }
    guard request.offset <= byteCount, request.byteCount <= byteCount - request.offset else { return .outOfRange }
    if request.operation == .read || request.operation == .write {
      guard let memory = request.memory, UInt64(memory.byteCount) == request.byteCount else { return .misaligned }
    }
    return nil
  }

  private func finish(_ tag: UInt32, _ error: BlockError? = nil, extent: BlockCompletion.Extent? = nil) {
    slots[Int(tag)].step = .idle
    finished.append(BlockCompletion(tag: tag, error: error, extent: extent))
  }

  private func submitTransfer(_ request: BlockRequest) {
    guard let memory = request.memory, memory.byteCount > 0 else { return finish(request.tag) }
    let isWrite = request.operation == .write
    if directFile(for: request, memory) == nil, !request.flags.contains(.forceUnitAccess) {
      do throws(Errno) {
        let moved = try transfer(
          isWrite ? .write : .read, file: image.buffered.number, memory: memory, offset: request.offset,
          flags: isWrite ? [] : .noWait)
        if moved == memory.byteCount { return finish(request.tag) }
      } catch {
        // Without the flag the write has failed; with it the ring finds the reason, or waits for the medium.
        if isWrite { return finish(request.tag, BlockError(error)) }
      }
    }
    enter(request, .transfer)
  }

  /// The descriptor for direct I/O, if there is one and the request is aligned for it.
  private func directFile(for request: BlockRequest, _ memory: ScatterList) -> Int32? {
    guard let file = image.directNumber, (request.offset | request.byteCount) % image.directOffsetAlignment == 0 else { return nil }
    for index in 0..<memory.count {
      let piece = memory[index]
      guard (piece.address | UInt(piece.byteCount)) % image.directMemoryAlignment == 0 else { return nil }
    }
    return file
  }

  private func submitExtent(_ request: BlockRequest) {
    let file = image.buffered.number
    let limit = request.offset + request.byteCount
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

  /// Puts the next step of the request into the ring.
  private func enter(_ request: BlockRequest, _ step: Step) {
    if request.operation != .flush, request.byteCount == 0 { return finish(request.tag) }
    let index = Int(request.tag)
    slots[index] = Slot(request: request, step: step, done: slots[index].step == .idle ? 0 : slots[index].done)
    do throws(Errno) {
      do throws(Errno) { try prepare(index) } catch {
        guard error == .EBUSY else { throw error }
        prepared = 0
        try ring.submit()
        try prepare(index)
      }
      prepared += 1
    } catch {
      finish(request.tag, BlockError(error))
    }
  }

  private func prepare(_ index: Int) throws(Errno) {
    let request = slots[index].request
    let file = image.buffered.number
    switch slots[index].step {
    case .idle: break
    case .transfer:
      guard let memory = request.memory else { throw .EINVAL }
      try ring.prepare(
        request.operation == .write ? .write : .read, file: directFile(for: request, memory) ?? file, memory: memory,
        offset: request.offset, flags: request.flags.contains(.forceUnitAccess) ? .dataSync : [],
        userData: UInt64(index))
    case .flush: try ring.prepareDataSync(file: file, userData: UInt64(index))
    case .allocate:
      let punches = request.operation == .discard || request.flags.contains(.mayUnmap)
      try ring.prepareAllocate(
        punches ? .punchHole : .zeroRange, file: file, offset: request.offset, byteCount: request.byteCount,
        userData: UInt64(index))
    case .zero:
      let done = slots[index].done
      let count = Int(min(request.byteCount - done, UInt64(Self.zeroByteCount)))
      try ring.prepare(
        .write, file: file, memory: try zeroList(index, count), offset: request.offset + done, userData: UInt64(index))
    }
  }

  private func zeroList(_ index: Int, _ count: Int) throws(Errno) -> ScatterList {
    if zeros == nil { zeros = try MemoryRegion(anonymous: Self.zeroByteCount) }
    guard let zeros else { throw .ENOMEM }
    return zeroTables.list(of: zeros.slice.slice(at: 0, count: count), slot: index)
  }

  private func complete(_ index: Int, _ result: Int32) {
    let slot = slots[index]
    let request = slot.request
    switch slot.step {
    case .idle: break
    case .transfer: completeTransfer(request, result)
    case .flush: finish(request.tag, result < 0 ? BlockError(Errno(rawValue: -result)) : nil)
    case .allocate:
      if result >= 0 { return finish(request.tag) }
      let error = Errno(rawValue: -result)
      let isRefused = error == .EOPNOTSUPP || error == .EINVAL || error == .ENOSYS
      // A range that can't be given back reads as it did, which a discard allows; zeros must be written.
      if !isRefused { return finish(request.tag, BlockError(error)) }
      if request.operation == .discard { return finish(request.tag, .notSupported) }
      enter(request, .zero)
    case .zero:
      guard result > 0 else {
        return finish(request.tag, result < 0 ? BlockError(Errno(rawValue: -result)) : .failed)
      }
      slots[index].done += UInt64(result)
      if slots[index].done >= request.byteCount { return finish(request.tag) }
      enter(request, .zero)
    }
  }

  private func completeTransfer(_ request: BlockRequest, _ result: Int32) {
    guard let memory = request.memory, result >= 0 else {
      return finish(request.tag, BlockError(Errno(rawValue: max(1, -result))))
    }
    let moved = Int(result)
    if moved == memory.byteCount { return finish(request.tag) }
    // A short transfer is rare (a signal, the end of a file that was cut): the rest is moved at once, on this thread.
    do throws(Errno) {
      try transferRest(
        request.operation == .write ? .write : .read, file: image.buffered.number, memory: memory, skip: moved,
        offset: request.offset)
      // Durability was asked for the whole: the rest went through the cache.
      if request.flags.contains(.forceUnitAccess) { return enter(request, .flush) }
      finish(request.tag)
    } catch {
      finish(request.tag, error == .EIO ? .medium : BlockError(error))
    }
  }
}
