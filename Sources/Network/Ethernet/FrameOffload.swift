/// What is known or still to be done about a frame, in the form in which frames go between ports.
///
/// The meaning is that of a TAP: the frame is self-consistent (real lengths, a valid IPv4 header checksum, and in the
/// checksum field of a partial frame the folded pseudo-header sum with the layer-4 length), except that a VLAN tag that
/// is told here is not in the frame. All offsets count from the start of the frame.
public struct FrameOffload: Hashable, BitwiseCopyable, Sendable {
  /// The state of the layer-4 checksum.
  public enum Checksum: Hashable, BitwiseCopyable, Sendable {
    /// The field is complete as far as anybody knows; nobody has verified it.
    case complete
    /// The field holds a seed: who needs the checksum sums from `start` to the end of the frame and stores the
    /// complement at `start + offset`.
    case partial(start: UInt16, offset: UInt16)
    /// The field is complete and has been verified.
    case verified
  }

  /// How the frame is to be cut before it goes to a medium with a smaller MTU.
  public enum Segmentation: Hashable, BitwiseCopyable, Sendable {
    /// The frame goes out as it is.
    case none
    /// TCP over IPv4: payload bytes per segment, and where the TCP header ends.
    case tcp4(segmentByteCount: UInt16, headerByteCount: UInt16)
    /// TCP over IPv6: payload bytes per segment, and where the TCP header ends.
    case tcp6(segmentByteCount: UInt16, headerByteCount: UInt16)
  }

  /// The state of the layer-4 checksum.
  public var checksum: Checksum
  /// How the frame is to be cut.
  public var segmentation: Segmentation
  /// The tag control information of an 802.1Q tag that was taken out of the frame: priority in bits 13-15, DEI in 12,
  /// VLAN id below.
  public var vlan: UInt16?
  /// The receive-side-scaling hash of the flow.
  public var flowHash: UInt32?

  /// An offload as given; by default a plain frame.
  @inlinable
  public init(
    checksum: Checksum = .complete, segmentation: Segmentation = .none, vlan: UInt16? = nil, flowHash: UInt32? = nil
  ) {
    self.checksum = checksum
    self.segmentation = segmentation
    self.vlan = vlan
    self.flowHash = flowHash
  }

  /// A plain frame: nothing known, nothing to do.
  @inlinable public static var plain: FrameOffload { FrameOffload() }

  /// Whether somebody has to compute a checksum before the frame reaches a medium.
  @inlinable
  public var needsChecksum: Bool {
    if case .partial = checksum { true } else { false }
  }
}
