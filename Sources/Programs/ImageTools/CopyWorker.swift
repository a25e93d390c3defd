import Block
import DiskImage
import LinuxIO
import SharedMemory

/// One thread of a conversion: some pieces are read while others are written.
final class CopyWorker {
  private let job: CopyJob
  private let reader: any BlockQueue
  private let writer: any BlockQueue
  private let memory: MemorySlice
  private var tables: ScatterTables
  private var pieces: [Piece]
  private var free: [UInt32]
  private var stripe: Range<UInt64> = 0..<0
  private var hasStripes = true
  /// How far what is stored, or a hole, goes on from the start of `stripe`; nil: it is to be asked.
  private var run: (end: UInt64, isStored: Bool)?
  private var isAsking = false
  private var readCount = 0
  private var writeCount = 0

  private struct Piece {
    var offset: UInt64 = 0
    var byteCount = 0
  }

  static let pieceByteCount = 512 << 10
  static let depth = 8

  init(_ job: CopyJob) throws(BlockError) {
    self.job = job
    // One more for questions about holes.
    reader = try job.input.makeQueue(depth: Self.depth + 1)
    writer = try job.output.makeQueue(depth: Self.depth)
    memory = try job.input.allocateMemory(byteCount: Self.pieceByteCount * Self.depth)
    tables = ScatterTables(count: Self.depth)
    pieces = Array(repeating: Piece(), count: Self.depth)
    free = (0..<UInt32(Self.depth)).map { $0 }
  }

  func close() {
    reader.close()
    writer.close()
  }

  func work() {
    while true {
      submit()
      reader.flushSubmissions()
      writer.flushSubmissions()
      if readCount == 0, writeCount == 0, !isAsking { return }
      var count = reader.reap { completion in didRead(completion) }
      count += writer.reap { completion in didWrite(completion) }
      if count == 0, !reader.prepareToWait(), !writer.prepareToWait() {
        _ = waitForInput([reader.readinessDescriptor, writer.readinessDescriptor], milliseconds: 100)
      }
    }
  }

  /// Reads as much as there are free pieces for.
  private func submit() {
    while job.isRunning {
      if stripe.isEmpty {
        guard hasStripes, let next = job.takeStripe() else {
          hasStripes = false
          return
        }
        stripe = next
        run = nil
      }
      guard let run, run.end > stripe.lowerBound else { return ask() }
      if !run.isStored {
        let end = min(run.end, stripe.upperBound)
        job.note(done: end - stripe.lowerBound)
        stripe = end..<stripe.upperBound
        continue
      }
      guard let tag = free.popLast() else { return }
      let count = Int(min(min(run.end, stripe.upperBound) - stripe.lowerBound, UInt64(Self.pieceByteCount)))
      pieces[Int(tag)] = Piece(offset: stripe.lowerBound, byteCount: count)
      reader.submit(
        BlockRequest(
          .read, tag: tag, offset: stripe.lowerBound, byteCount: UInt64(count),
          memory: tables.list(of: slice(tag, 0, count), slot: Int(tag))))
      readCount += 1
      stripe = (stripe.lowerBound + UInt64(count))..<stripe.upperBound
    }
  }

  private func ask() {
    if isAsking { return }
    isAsking = true
    reader.submit(
      BlockRequest(
        .extent, tag: UInt32(Self.depth), offset: stripe.lowerBound, byteCount: UInt64(stripe.count)))
  }

  private func slice(_ tag: UInt32, _ start: Int, _ count: Int) -> MemorySlice {
    memory.slice(at: Int(tag) * Self.pieceByteCount + start, count: count)
  }

  private func didRead(_ completion: BlockCompletion) {
    if completion.tag == UInt32(Self.depth) {
      isAsking = false
      // Where holes can't be told, everything is taken for stored.
      let extent = completion.extent ?? .init(byteCount: UInt64(stripe.count), isAllocated: true)
      run = (stripe.lowerBound + extent.byteCount, extent.isAllocated)
      return
    }
    readCount -= 1
    let tag = completion.tag
    let piece = pieces[Int(tag)]
    if let error = completion.error {
      job.stop(error, side: "reading at byte \(piece.offset)")
    }
    guard job.isRunning, let part = storedPart(slice(tag, 0, piece.byteCount)) else { return finish(tag) }
    job.note(copied: UInt64(part.count))
    writer.submit(
      BlockRequest(
        .write, tag: tag, offset: piece.offset + UInt64(part.lowerBound), byteCount: UInt64(part.count),
        memory: tables.list(of: slice(tag, part.lowerBound, part.count), slot: Int(tag))))
    writeCount += 1
  }

  private func didWrite(_ completion: BlockCompletion) {
    writeCount -= 1
    if let error = completion.error {
      job.stop(error, side: "writing at byte \(pieces[Int(completion.tag)].offset)")
    }
    finish(completion.tag)
  }

  private func finish(_ tag: UInt32) {
    job.note(done: UInt64(pieces[Int(tag)].byteCount))
    free.append(tag)
  }

  /// The part between the first and the last page that is not zero; nil when all are.
  private func storedPart(_ slice: MemorySlice) -> Range<Int>? {
    let page = 4096
    var start = 0
    while start < slice.byteCount, isZero(slice, start, min(page, slice.byteCount - start)) { start += page }
    if start >= slice.byteCount { return nil }
    var end = slice.byteCount
    while isZero(slice, (end - 1) / page * page, end - (end - 1) / page * page) { end = (end - 1) / page * page }
    return start..<end
  }

  private func isZero(_ slice: MemorySlice, _ start: Int, _ count: Int) -> Bool {
    // Whole sectors, so that words fit.
    for offset in stride(from: start, to: start + count, by: 8) where slice.loadLE64(at: offset) != 0 { return false }
    return true
  }
}
