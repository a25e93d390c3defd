import Block
import LinuxIO
import SharedMemory
import URing

/// A queue of a raw image in front of an io_uring.
///
/// Writes into the page cache are made at once by `submit`: io_uring would hand them to a thread of the kernel, which costs
/// 1.4 to 8 times as much (4 KiB on ext4: 12 to 14 us at once, 19 to 93 us through the ring). Everything else goes through
/// the ring, reads too: what the page cache has completes during `flushSubmissions`, at the price of a preadv2(2).
///
/// Where there is no io_uring (switched off, or forbidden in a container), every request is carried out by `submit`.
final class RawImageQueue: BlockQueue {
  /// What the ring does for a slot.
  enum Step: UInt8 {
    case idle
    case transfer
    case sync
    case allocate
    case writeZeros
  }

  struct Slot {
    var request: BlockRequest
    var step = Step.idle
    /// What is left to be zeroed or given back.
    var start: UInt64 = 0
    var end: UInt64 = 0
  }

  let depth: Int
  let image: RawImage
  let isReadOnly: Bool
  let isDirect: Bool
  var slots: [Slot]
  /// One piece per slot, for the zeros that it writes.
  var zeroTables: ScatterTables
  private let ring: URing?
  /// Never signalled: stands for the ring where there is none, and everything is done at once.
  private let silence: EventFD?
  private let file: URing.File
  private let cached: URing.File
  private var finished: [BlockCompletion] = []
  private var taken: [BlockCompletion] = []
  private var hasUnsent = false

  /// - Parameter usesRing: false: as where the system allows no io_uring.
  init(image: RawImage, depth: Int, usesRing: Bool = true) throws(Errno) {
    guard depth > 0, depth <= 16384 else { throw .EINVAL }
    self.image = image
    self.depth = depth
    isReadOnly = image.info.isReadOnly
    isDirect = image.isDirect
    slots = Array(repeating: Slot(request: BlockRequest(.flush, tag: 0)), count: depth)
    zeroTables = ScatterTables(count: depth)
    finished.reserveCapacity(depth)
    taken.reserveCapacity(depth)
    let descriptors = [image.file.number, image.cachedDescriptor]
    var file = URing.File.descriptor(descriptors[0])
    var cached = URing.File.descriptor(descriptors[1])
    do throws(Errno) {
      guard usesRing else { throw .ENOSYS }
      let ring = try URing(depth: depth + 1)
      // The ring is as good without; the kernel only looks the files up more slowly.
      if (try? ring.registerFiles(descriptors)) != nil {
        file = .registered(0)
        cached = .registered(1)
      }
      self.ring = ring
      silence = nil
    } catch {
      guard error == .ENOSYS || error == .EPERM || error == .EACCES else { throw error }
      ring = nil
      silence = try EventFD()
    }
    self.file = file
    self.cached = cached
  }

  var readinessDescriptor: Int32 { ring?.descriptor ?? silence?.descriptor ?? -1 }

  func submit(_ request: BlockRequest) {
    precondition(Int(request.tag) < depth && slots[Int(request.tag)].step == .idle, "the tag is in flight")
    if let error = refusal(of: request) { return finish(request.tag, error) }
    switch request.operation {
    case .read, .write: submitTransfer(request)
    case .flush: isReadOnly ? finish(request.tag) : enter(request, .sync)
    case .discard: submitDiscard(request)
    case .writeZeroes: submitRange(request)
    case .extent: submitExtent(request)
    }
  }

  func flushSubmissions() {
    send()
  }

  func prepareToWait() -> Bool { !finished.isEmpty }

  @discardableResult
  func reap(_ body: (BlockCompletion) -> Void) -> Int {
    if let ring {
      while let (userData, result) = ring.takeCompletion() { complete(Int(userData), result) }
    }
    // What `body` submits and is done at once waits for the next call, so that one call ends.
    swap(&finished, &taken)
    let count = taken.count
    for index in 0..<count { body(taken[index]) }
    taken.removeAll(keepingCapacity: true)
    // Requests of several steps have put their next one into the ring.
    if hasUnsent { flushSubmissions() }
    return count
  }

  func close() {
    precondition(slots.allSatisfy { $0.step == .idle }, "requests are in flight")
  }

  /// Whether the work is done behind `submit`.
  var hasRing: Bool { ring != nil }

  private func send() {
    guard hasUnsent, let ring else { return }
    // When the kernel has no memory now, the batch stays and the next call tries again.
    if (try? ring.submit()) != nil { hasUnsent = false }
  }

  private func refusal(of request: BlockRequest) -> BlockError? {
    let byteCount = image.currentByteCount
    switch request.operation {
    case .flush: return nil
    case .write, .discard, .writeZeroes: if isReadOnly { return .readOnly }
    case .read, .extent: break
    }
    guard request.offset <= byteCount, request.byteCount <= byteCount - request.offset else { return .outOfRange }
    switch request.operation {
    case .read, .write:
      guard let memory = request.memory, UInt64(memory.byteCount) == request.byteCount,
        memory.byteCount <= RawImage.maximumTransferByteCount, memory.count <= RawImage.maximumPieceCount
      else { return request.byteCount == 0 && request.memory == nil ? nil : .misaligned }
    case .extent: if request.offset == byteCount { return .outOfRange }
    case .discard: if image.discardMethod == .none { return .notSupported }
    case .writeZeroes, .flush: break
    }
    return nil
  }

  func finish(_ tag: UInt32, _ error: BlockError? = nil, extent: BlockCompletion.Extent? = nil) {
    slots[Int(tag)].step = .idle
    finished.append(BlockCompletion(tag: tag, error: error, extent: extent))
  }

  /// Puts a step of the request into the ring; without a ring it is done at once.
  func enter(_ request: BlockRequest, _ step: Step, start: UInt64 = 0, end: UInt64 = 0) {
    let index = Int(request.tag)
    slots[index] = Slot(request: request, step: step, start: start, end: end)
    guard let ring else { return complete(index, performAtOnce(index)) }
    do throws(Errno) {
      try prepare(index, ring)
      hasUnsent = true
    } catch {
      // The ring has room for every slot, unless the kernel could not take the last batch.
      finish(request.tag, .noMemory)
    }
  }

  private func prepare(_ index: Int, _ ring: URing) throws(Errno) {
    let slot = slots[index]
    let userData = UInt64(index)
    switch slot.step {
    case .idle: break
    case .transfer:
      guard let memory = slot.request.memory else { throw .EINVAL }
      let isWrite = slot.request.operation == .write
      let isCached = isDirect && !isAligned(slot.request, memory)
      try ring.prepare(
        isWrite ? .write : .read, file: isCached ? cached : file, memory: memory, offset: slot.request.offset,
        flags: transferFlags(slot.request), userData: userData)
    case .sync: try ring.prepareSync(file: file, userData: userData)
    case .allocate:
      try ring.prepareAllocate(
        allocationMode(slot.request), file: file, offset: slot.start, byteCount: slot.end - slot.start,
        userData: userData)
    case .writeZeros:
      try ring.prepare(.write, file: file, memory: zeroList(index), offset: slot.start, userData: userData)
    }
  }

  /// Does the step of a slot on this thread; answers what the ring would: a number of bytes, 0, or -errno.
  private func performAtOnce(_ index: Int) -> Int32 {
    let slot = slots[index]
    do throws(Errno) {
      switch slot.step {
      case .idle: return 0
      case .transfer:
        guard let memory = slot.request.memory else { return -Errno.EINVAL.rawValue }
        let isWrite = slot.request.operation == .write
        let isCached = isDirect && !isAligned(slot.request, memory)
        return Int32(
          try transfer(
            isWrite ? .write : .read, file: isCached ? image.cachedDescriptor : image.file.number,
            memory: memory, offset: slot.request.offset, flags: transferFlags(slot.request)))
      case .sync: try image.file.synchronizeData()
      case .allocate:
        try image.file.allocate(
          allocationMode(slot.request), offset: slot.start, byteCount: slot.end - slot.start)
      case .writeZeros: return -Errno.ENOSYS.rawValue
      }
      return 0
    } catch {
      return -error.rawValue
    }
  }

  private func transferFlags(_ request: BlockRequest) -> URing.TransferFlags {
    request.operation == .write && request.flags.contains(.forceUnitAccess) ? .dataSync : []
  }

  /// The part of `zeros` that the next step of a slot writes.
  private func zeroList(_ index: Int) -> ScatterList {
    let count = zeroChunkByteCount(slots[index])
    return zeroTables.list(of: image.zeros.slice.slice(at: 0, count: count), slot: index)
  }

  private func complete(_ index: Int, _ result: Int32) {
    let slot = slots[index]
    let error = result < 0 ? Errno(rawValue: -result) : nil
    switch slot.step {
    case .idle: break
    case .transfer: completeTransfer(slot.request, result)
    case .sync: finish(slot.request.tag, error.map { blockError($0) })
    case .allocate: completeAllocation(slot, error)
    case .writeZeros: completeZeros(slot, result)
    }
  }
}

/// What a failed system call on the image means for a request.
func blockError(_ errno: Errno) -> BlockError {
  switch errno {
  case .EIO, .ENODATA: .medium
  case .EDQUOT: .noSpace
  default: BlockError(errno)
  }
}

extension Errno {
  static let EDQUOT = Errno(rawValue: 122)
}
