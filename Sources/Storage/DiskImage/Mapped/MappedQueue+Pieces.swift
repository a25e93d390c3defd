import Block
import LinuxIO
import SharedMemory
import Synchronization
import URing

extension MappedQueue {
  /// A part of a request that the ring carries out.
  final class Piece {
    enum Work {
      case read
      case write
      case punch
      case zeroRange
      case synchronize
    }

    var work = Work.read
    var tag: UInt32 = 0
    /// Which image of the chain.
    var layer = 0
    /// First byte on the disk, first byte in the file, length.
    var offset: UInt64 = 0
    var fileOffset: UInt64 = 0
    var byteCount: UInt64 = 0
    var isRecorded = false
    var memory: ScatterList?
    /// Flushes that a synchronization ends.
    var waiters: [UInt32] = []
    private var table: ScatterTable?

    /// The part of `list` from byte `start` on.
    func cut(_ list: ScatterList, from start: Int, count: Int) -> ScatterList? {
      if start == 0, count == list.byteCount { return list }
      var table = self.table.take() ?? ScatterTable(capacity: MappedImage.maximumPieceCount)
      let part = table.cut(list, from: start, count: count)
      self.table = consume table
      return part
    }
  }

  /// Starts a piece of a request; false when no piece is free.
  func start(
    _ work: Piece.Work, _ tag: UInt32, layer: Int = 0, fileOffset: UInt64, byteCount: UInt64, isRecorded: Bool = false
  ) -> Bool {
    guard let index = freePieces.popLast() else { return false }
    let piece = pieces[index]
    let slot = slots[Int(tag)]
    piece.work = work
    piece.tag = tag
    piece.layer = layer
    piece.offset = slot.position
    piece.fileOffset = fileOffset
    piece.byteCount = byteCount
    piece.isRecorded = isRecorded
    piece.memory = slot.request.memory.flatMap {
      piece.cut($0, from: Int(slot.position - slot.request.offset), count: Int(byteCount))
    }
    slots[Int(tag)].pieceCount += 1
    slots[Int(tag)].position += byteCount
    enter(index)
    return true
  }

  /// Puts a piece into the ring; without a ring it is done at once.
  func enter(_ index: Int) {
    let piece = pieces[index]
    if let observer = image.layers[0].file.observer, let error = note(piece, observer) {
      return completePiece(index, -error.rawValue)
    }
    guard let ring else { return completePiece(index, performAtOnce(piece)) }
    do throws(Errno) {
      let file = files[piece.layer]
      let userData = UInt64(index)
      switch piece.work {
      case .read, .write:
        guard let memory = piece.memory else { throw .EINVAL }
        try ring.prepare(
          piece.work == .read ? .read : .write, file: file, memory: memory, offset: piece.fileOffset,
          flags: piece.work == .write ? .dataSync : [], userData: userData)
      case .punch, .zeroRange:
        try ring.prepareAllocate(
          piece.work == .punch ? .punchHole : .zeroRange, file: file, offset: piece.fileOffset,
          byteCount: piece.byteCount, userData: userData)
      case .synchronize: try ring.prepareSync(file: file, userData: userData)
      }
      hasUnsent = true
    } catch {
      // The ring has room for every piece, unless the kernel could not take the last batch.
      completePiece(index, -Errno.ENOMEM.rawValue)
    }
  }

  private func performAtOnce(_ piece: Piece) -> Int32 {
    let layer = image.layers[piece.layer].file
    do throws(Errno) {
      switch piece.work {
      case .read, .write:
        guard let memory = piece.memory else { throw .EINVAL }
        return Int32(
          try transfer(
            piece.work == .read ? .read : .write, file: layer.descriptor, memory: memory, offset: piece.fileOffset,
            flags: piece.work == .write ? .dataSync : []))
      case .punch, .zeroRange:
        try layer.withDescriptor { file throws(Errno) in
          try file.allocate(
            piece.work == .punch ? .punchHole : .zeroRange, offset: piece.fileOffset, byteCount: piece.byteCount)
        }
      case .synchronize:
        try layer.withDescriptor { file throws(Errno) in try file.synchronizeData() }
      }
      return 0
    } catch {
      return -error.rawValue
    }
  }

  /// Tells an observer what a piece is going to change.
  private func note(_ piece: Piece, _ observer: any FileObserver) -> Errno? {
    switch piece.work {
    case .read: nil
    case .write:
      piece.memory.flatMap { observer.willChange(.write(offset: piece.fileOffset, bytes: $0.bytes(), isDurable: true)) }
    case .punch, .zeroRange:
      observer.willChange(.zero(offset: piece.fileOffset, byteCount: piece.byteCount))
    case .synchronize: observer.willChange(.synchronizeBegin)
    }
  }

  func completePiece(_ index: Int, _ result: Int32) {
    let piece = pieces[index]
    var error = result < 0 ? blockError(Errno(rawValue: -result)) : nil
    if piece.work == .synchronize {
      if error == nil, let observer = image.layers[0].file.observer, let errno = observer.willChange(.synchronizeEnd) {
        error = blockError(errno)
      }
      return synchronized(index, error)
    }
    let tag = piece.tag
    switch piece.work {
    case .read, .write:
      if error == nil, Int(result) < Int(piece.byteCount) { error = moveRest(piece, Int(result)) }
    case .punch, .zeroRange:
      if let errno = result < 0 ? Errno(rawValue: -result) : nil,
        errno == .EOPNOTSUPP || errno == .ENOSYS || errno == .EINVAL
      {
        if piece.work == .punch { image.canPunch.store(false, ordering: .relaxed) }
        if piece.work == .zeroRange { image.canZeroRange.store(false, ordering: .relaxed) }
        error = writeZeros(piece.fileOffset, piece.byteCount)
      }
    case .synchronize: break
    }
    if piece.isRecorded { record(piece.offset, piece.byteCount, succeeded: error == nil) }
    piece.memory = nil
    freePieces.append(index)
    if !parked.isEmpty { mayRetry = true }
    slots[Int(tag)].pieceCount -= 1
    if let error, slots[Int(tag)].error == nil { slots[Int(tag)].error = error }
    if slots[Int(tag)].pieceCount == 0, !slots[Int(tag)].isHeld { conclude(tag) }
  }

  /// A short transfer is rare (a signal, a full disk, a file that was cut): the rest is moved at once, on this thread.
  private func moveRest(_ piece: Piece, _ moved: Int) -> BlockError? {
    guard let memory = piece.memory else { return .failed }
    do throws(Errno) {
      try transferRest(
        piece.work == .read ? .read : .write, file: image.layers[piece.layer].file.descriptor, memory: memory,
        skip: moved, offset: piece.fileOffset, flags: piece.work == .write ? .dataSync : [])
      return nil
    } catch { return blockError(error) }
  }

  /// Notes the sectors of a write as present; requests that waited for this may go on.
  func record(_ offset: UInt64, _ byteCount: UInt64, succeeded: Bool) {
    map.endWrite(offset, byteCount, succeeded: succeeded)
    image.wakeParked()
  }
}

extension ScatterTable {
  /// The part of `list` from byte `start` on, as a list of this table.
  mutating func cut(_ list: ScatterList, from start: Int, count: Int) -> ScatterList? {
    removeAll()
    var skip = start
    var left = count
    var index = 0
    while left > 0, index < list.count {
      let piece = list[index]
      index += 1
      if skip >= piece.byteCount {
        skip -= piece.byteCount
        continue
      }
      let part = min(piece.byteCount - skip, left)
      guard append(piece.slice(at: skip, count: part)) else { return nil }
      left -= part
      skip = 0
    }
    return left == 0 ? self.list : nil
  }
}

extension ScatterList {
  /// A copy of all bytes.
  func bytes() -> [UInt8] { (0..<count).flatMap { self[$0].bytes() } }
}
