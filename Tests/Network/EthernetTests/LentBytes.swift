import Ethernet
import LinuxIO
import SharedMemory

/// Bytes in pieces of memory, to be lent as a frame.
final class LentBytes {
  private let region: MemoryRegion
  private var table: ScatterTable
  let firstByteCount: Int
  let pieces: [MemorySlice]

  /// Pieces of `pieceByteCount` bytes after a first one of `firstByteCount`, each on pages of its own.
  init(_ bytes: [UInt8], firstByteCount: Int = .max, pieceByteCount: Int = .max) throws(Errno) {
    var ranges: [Range<Int>] = []
    var start = 0
    while start < bytes.count {
      let count = min(ranges.isEmpty ? firstByteCount : pieceByteCount, bytes.count - start)
      ranges.append(start..<(start + count))
      start += count
    }
    self.firstByteCount = min(firstByteCount, bytes.count)
    let strides = ranges.map { ($0.count / pageByteCount + 2) * pageByteCount }
    region = try MemoryRegion(anonymous: max(1, strides.reduce(0, +)))
    table = ScatterTable(capacity: max(1, ranges.count))
    var offset = 0
    var pieces: [MemorySlice] = []
    for (range, stride) in zip(ranges, strides) {
      let slice = region.slice.slice(at: offset, count: range.count)
      slice.copyIn(bytes.span.bytes.extracting(range))
      pieces.append(slice)
      _ = table.append(slice)
      offset += stride
    }
    self.pieces = pieces
  }

  /// Lends the frame to `body`; the memory lives so long.
  func lend<R>(_ offload: FrameOffload, _ body: (LentFrame) -> R) -> R {
    withExtendedLifetime(self) {
      body(LentFrame(bytes: table.list, headerByteCount: firstByteCount, offload: offload))
    }
  }

  func send(_ offload: FrameOffload, to sink: any EthernetSink) -> Bool {
    lend(offload) { sink.send($0) }
  }
}

extension ScatterList {
  /// A copy of all bytes.
  var copied: [UInt8] {
    var result: [UInt8] = []
    for index in 0..<count { result += self[index].bytes() }
    return result
  }
}

/// What a finisher handed out.
struct FinishedFrame: Equatable {
  var bytes: [UInt8]
  var offload: FrameOffload
  var pieceCount = 1
  var headerByteCount: Int

  init(_ frame: LentFrame) {
    bytes = frame.bytes.copied
    offload = frame.offload
    pieceCount = frame.bytes.count
    headerByteCount = frame.headerByteCount
  }
}

/// All that `frame` stands for; nil when it is malformed.
func finish(
  _ bytes: [UInt8], _ offload: FrameOffload, insertsTag: Bool = false, firstByteCount: Int = .max,
  pieceByteCount: Int = .max
) throws -> [FinishedFrame]? {
  let lent = try LentBytes(bytes, firstByteCount: firstByteCount, pieceByteCount: pieceByteCount)
  var finisher = try FrameFinisher()
  var result: [FinishedFrame] = []
  let ending = lent.lend(offload) {
    finisher.finish($0, insertsTag: insertsTag) { result.append(FinishedFrame($0)) }
  }
  switch ending {
  case .malformed: return nil
  case .finished(let count): return count == result.count ? result : nil
  }
}
