/// Follows the fragments of coalesced frames through the ranges of one transfer-pages packet.
///
/// All fragments of a frame are consecutive ranges of one packet. Make one value for each packet, give it each range,
/// and ask ``isComplete`` at the end.
public struct CoalescedFrame: BitwiseCopyable, Sendable {
  /// What to do with a range.
  public enum Step: UInt8, Sendable {
    /// The range is a whole frame.
    case whole
    /// The range starts a frame; what was open before is dropped. Its per-packet information is that of the frame.
    case first
    /// The range continues the frame; its per-packet information does not count.
    case middle
    /// The range ends the frame.
    case last
    /// The range, and the frame that may be open, are dropped; the packet completes with a failure.
    case drop
  }

  /// The bytes of the open frame; 0 if none is open.
  public private(set) var byteCount = 0
  /// The fragments of the open frame; 0 if none is open.
  public private(set) var fragmentCount = 0
  /// Whether a frame was dropped.
  public private(set) var hasDropped = false

  /// The most fragments of a frame: the ranges of a packet, and a 64 KiB frame in pieces of the smallest MTU.
  @inlinable public static var maximumFragmentCount: Int { 562 }
  /// The most bytes of a frame: an IP packet of 64 KiB with its Ethernet header.
  @inlinable public static var maximumByteCount: Int { 65_535 + 14 }

  /// No frame is open.
  @inlinable
  public init() {}

  /// Whether no frame is open and none was dropped.
  @inlinable public var isComplete: Bool { fragmentCount == 0 && !hasDropped }

  /// Takes a range of `count` bytes with the place `packetID`.
  public mutating func take(_ packetID: PacketID?, byteCount count: Int) -> Step {
    guard let packetID, packetID.isFragment else {
      if fragmentCount > 0 { abandon() }
      return .whole
    }
    if packetID.isFirst {
      if fragmentCount > 0 { abandon() }
    } else if fragmentCount == 0 {
      hasDropped = true
      return .drop
    }
    guard fragmentCount < CoalescedFrame.maximumFragmentCount, count >= 0,
      count <= CoalescedFrame.maximumByteCount - byteCount
    else {
      abandon()
      return .drop
    }
    if packetID.isFirst, packetID.isLast { return .whole }
    fragmentCount += 1
    byteCount += count
    if packetID.isFirst { return .first }
    guard packetID.isLast else { return .middle }
    fragmentCount = 0
    byteCount = 0
    return .last
  }

  private mutating func abandon() {
    fragmentCount = 0
    byteCount = 0
    hasDropped = true
  }
}
