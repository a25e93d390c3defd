public import LinuxIO
import SharedMemory
import WireBytes

/// How `FrameFinisher.finish` ended.
public enum FinishResult: Hashable, Sendable {
  /// So many complete frames were handed out.
  case finished(frameCount: Int)
  /// The frame contradicts what its offload asks for; nothing was handed out.
  case malformed
}

/// Does in software what a frame's offload leaves to be done: layer-4 checksums, cutting TCP, putting in the tag.
///
/// One belongs to one thread. It copies a frame before it looks at it, each byte once, so that a peer that shares the
/// memory can change nothing after the check.
public struct FrameFinisher: ~Copyable {
  /// The frame that is handed out; behind it the headers that all segments start with.
  var memory: PrivateMemory
  private var table = ScatterTables(count: 1)

  /// Room for one frame with a tag in it.
  static let frameByteCount = FrameRoom.maximumFrameByteCount + tagByteCount
  static let headersOffset = (frameByteCount + 63) & ~63
  static let tagByteCount = 4

  /// A finisher with room for the longest frame.
  public init() throws(Errno) {
    memory = try PrivateMemory(byteCount: FrameFinisher.headersOffset + FrameFinisher.frameByteCount)
  }

  /// Hands `body` the complete frames that `frame` stands for, in order.
  ///
  /// A frame that needs nothing is handed through as it is. Others lie in one piece of private memory, valid during
  /// the call of `body`; a checksum that was computed is `.verified`.
  ///
  /// - Parameter insertsTag: put the tag that the offload tells into the frame; otherwise it stays in the offload.
  public mutating func finish(_ frame: LentFrame, insertsTag: Bool, _ body: (LentFrame) -> Void) -> FinishResult {
    let tag = insertsTag ? frame.offload.vlan : nil
    guard tag != nil || frame.offload.needsFinishing(for: []) else {
      body(frame)
      return .finished(frameCount: 1)
    }
    guard frame.byteCount >= FrameHeaders.networkOffset, frame.byteCount <= FrameRoom.maximumFrameByteCount else {
      return .malformed
    }
    switch frame.offload.segmentation {
    case .none: return complete(frame, tag, body)
    case .tcp4(let segment, _): return cut(frame, tag, segmentByteCount: Int(segment), isIPv6: false, body)
    case .tcp6(let segment, _): return cut(frame, tag, segmentByteCount: Int(segment), isIPv6: true, body)
    }
  }

  /// One frame for one frame.
  private mutating func complete(_ frame: LentFrame, _ tag: UInt16?, _ body: (LentFrame) -> Void) -> FinishResult {
    var offload = tag == nil ? frame.offload : frame.offload.insertingTag()
    let count = frame.byteCount + (tag == nil ? 0 : FrameFinisher.tagByteCount)
    if case .partial(let start, let offset) = offload.checksum, Int(start) + Int(offset) + 2 > count {
      return .malformed
    }
    copy(frame, count: frame.byteCount, tag, to: 0)
    var bytes = memory.mutableBytes
    var target = bytes._mutatingExtracting(0..<count)
    offload = InternetChecksum.complete(&target, offload)
    handOut(count: count, offload, body)
    return .finished(frameCount: 1)
  }

  /// Copies the first `count` bytes of `frame` to `offset` of the memory, with the tag in them.
  mutating func copy(_ frame: LentFrame, count: Int, _ tag: UInt16?, to offset: Int) {
    var bytes = memory.mutableBytes
    guard let tag else {
      var target = bytes._mutatingExtracting(offset..<(offset + count))
      frame.bytes.copyOut(into: &target)
      return
    }
    var addresses = bytes._mutatingExtracting(offset..<(offset + 12))
    frame.bytes.copyOut(into: &addresses)
    bytes.storeBE(0x8100 as UInt16, at: offset + 12)
    bytes.storeBE(tag, at: offset + 14)
    var rest = bytes._mutatingExtracting((offset + 16)..<(offset + count + FrameFinisher.tagByteCount))
    frame.bytes.copyOut(from: 12, into: &rest)
  }

  /// Lends the first `count` bytes of the memory.
  mutating func handOut(count: Int, _ offload: FrameOffload, _ body: (LentFrame) -> Void) {
    let list = table.list(of: memory.slice.slice(at: 0, count: count), slot: 0)
    body(LentFrame(bytes: list, headerByteCount: count, offload: offload))
  }
}

extension FrameOffload {
  /// Whether a frame has to be finished in software for who takes only the forms in `offloads`.
  ///
  /// - Parameter insertsTag: the tag has to be in the frame.
  public func needsFinishing(for offloads: OffloadSet, insertsTag: Bool = false) -> Bool {
    if insertsTag, vlan != nil { return true }
    switch segmentation {
    case .none: break
    case .tcp4: return !offloads.contains(.tcp4)
    case .tcp6: return !offloads.contains(.tcp6)
    }
    return needsChecksum && !offloads.contains(.checksum)
  }
}
