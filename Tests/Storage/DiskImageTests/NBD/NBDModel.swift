import Block
import DiskImage
import LinuxIO
import SharedMemory
import Testing

/// Random requests against a part of a disk and an array of bytes that must agree. Requests that are in flight at the same
/// time never overlap.
struct NBDModel {
  let deep: DeepQueue
  let start: Int
  var model: [UInt8]
  private var random: Generator
  private let alignment: Int
  /// Tables can't stand in an array by themselves.
  private final class TableBox { var table = ScatterTable(capacity: 64) }
  private let tables: [TableBox]
  private var flying: [UInt32: Flight] = [:]
  private var failure: String?

  struct Flight {
    var operation: BlockOperation
    var range: Range<Int>
    var pieces: [MemorySlice]
  }

  /// - Parameter range: the part of the disk.
  init(_ image: any OpenedImage, range: Range<Int>, depth: Int, seed: UInt64) throws {
    deep = try DeepQueue(image, depth: depth, byteCount: 300 << 10)
    start = range.lowerBound
    model = [UInt8](repeating: 0, count: range.count)
    random = Generator(state: seed)
    alignment = max(512, image.info.requestAlignment)
    tables = (0..<depth).map { _ in TableBox() }
  }

  /// Submits `count` requests and takes all their completions; nil when everything agreed.
  mutating func run(_ count: Int) -> String? {
    var left = count
    while left > 0 || !flying.isEmpty {
      while left > 0, failure == nil, let tag = deep.takeTag() {
        guard submit(tag) else {
          deep.release(tag)
          break
        }
        left -= 1
      }
      if failure != nil, flying.isEmpty { break }
      let ends = deep.await()
      if ends.isEmpty { return "no completion came" }
      for end in ends { finish(end) }
    }
    return failure
  }

  private mutating func submit(_ tag: UInt32) -> Bool {
    let length = [alignment, 4096, 4096, 32 << 10, 32 << 10, 256 << 10][Int.random(in: 0..<6, using: &random)]
    let count = Int.random(in: 1...max(1, length / alignment), using: &random) * alignment
    let offset = Int.random(in: 0...(model.count - count) / alignment, using: &random) * alignment
    let range = offset..<(offset + count)
    if flying.values.contains(where: { $0.range.overlaps(range) }) { return false }
    let operation: BlockOperation
    var flags: BlockRequest.Flags = []
    switch Int.random(in: 0..<20, using: &random) {
    case 0..<8: operation = .read
    case 8..<15:
      operation = .write
      if Bool.random(using: &random), Bool.random(using: &random) { flags = .forceUnitAccess }
    case 15..<17:
      operation = .writeZeroes
      if Bool.random(using: &random) { flags = .mayUnmap }
    case 17: operation = .flush
    default: operation = .extent
    }
    var flight = Flight(operation: operation, range: range, pieces: [])
    var memory: ScatterList?
    if operation == .read || operation == .write {
      flight.pieces = pieces(deep.room(tag), count)
      let box = tables[Int(tag)]
      box.table.removeAll()
      for piece in flight.pieces { _ = box.table.append(piece) }
      memory = box.table.list
      for piece in flight.pieces { piece.fill(operation == .write ? UInt8.random(in: 1...255, using: &random) : 0xee) }
    }
    flying[tag] = flight
    deep.queue.submit(
      BlockRequest(
        operation, tag: tag, offset: UInt64(start + offset), byteCount: UInt64(count), memory: memory, flags: flags))
    return true
  }

  /// The start of `room` as one piece, or as some whose order is not that of their addresses.
  private mutating func pieces(_ room: MemorySlice, _ count: Int) -> [MemorySlice] {
    if Bool.random(using: &random) { return [room.slice(at: 0, count: count)] }
    var pieces: [MemorySlice] = []
    var done = 0
    while done < count {
      let step = pieces.count == 40 ? count - done : min(count - done, Int.random(in: 1...16, using: &random) * 512)
      pieces.append(room.slice(at: done, count: step))
      done += step
    }
    // Neighbours would be joined to one piece again.
    return pieces.count > 2 ? pieces.reversed() : pieces
  }

  private mutating func finish(_ end: BlockCompletion) {
    guard let flight = flying.removeValue(forKey: end.tag) else {
      failure = "a completion that nobody waits for"
      return
    }
    deep.release(end.tag)
    if let error = end.error { return failure = "\(flight.operation) of \(flight.range): \(error)" }
    switch flight.operation {
    case .read:
      if flight.pieces.flatMap({ $0.bytes() }) != Array(model[flight.range]) {
        failure = "the bytes of \(flight.range) are others"
      }
    case .write: model.replaceSubrange(flight.range, with: flight.pieces.flatMap { $0.bytes() })
    case .writeZeroes: model.replaceSubrange(flight.range, with: repeatElement(0, count: flight.range.count))
    case .extent:
      guard let extent = end.extent, extent.byteCount > 0, extent.byteCount <= UInt64(flight.range.count) else {
        return failure = "an extent of \(flight.range) is impossible"
      }
      let run = model[flight.range.lowerBound..<(flight.range.lowerBound + Int(extent.byteCount))]
      if !extent.isAllocated, !run.allSatisfy({ $0 == 0 }) { failure = "a hole in \(flight.range) is none" }
    case .flush, .discard: break
    }
  }
}
