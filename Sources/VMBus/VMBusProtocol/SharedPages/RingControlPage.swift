/// The control page in front of the data area of a ring: offsets in bytes (Linux `struct hv_ring_buffer`).
///
/// All words are 32-bit and little-endian. Both pages are zero but for the feature bit before OPEN_CHANNEL.
public enum RingControlPage {
  /// Where the next packet goes, in the data area; stored by the writer.
  public static let writeIndex = 0
  /// The next packet to read, in the data area; stored by the reader.
  public static let readIndex = 4
  /// Not 0 while the reader wants no signal for new data; stored by the reader.
  public static let interruptMask = 8
  /// Not 0 while the writer waits for so many free bytes; stored by the writer.
  public static let pendingSendSize = 12
  /// Feature bits.
  public static let featureBits = 64
  /// The size of the page, in bytes: where the data area starts.
  public static let byteCount = 4096

  /// The feature bit that makes a reader look at `pendingSendSize`.
  public static let pendingSendSizeFeature: UInt32 = 1

  /// Indices and packet lengths are multiples of this many bytes.
  public static let alignment = 8
}

/// Where the parts of a mapped ring pair stand: each half is a control page and its data area.
public struct RingPairLayout: Hashable, Sendable {
  /// The size of one data area, in bytes.
  public let dataByteCount: Int
  /// The offset of the upstream control page (guest to host), in bytes.
  public var upstreamControl: Int { 0 }
  /// The offset of the upstream data area, in bytes.
  public var upstreamData: Int { RingControlPage.byteCount }
  /// The offset of the downstream control page (host to guest), in bytes.
  public var downstreamControl: Int { RingControlPage.byteCount + dataByteCount }
  /// The offset of the downstream data area, in bytes.
  public var downstreamData: Int { downstreamControl + RingControlPage.byteCount }
  /// The size of the whole pair, in bytes.
  public var byteCount: Int { 2 * downstreamControl }
  /// Where the downstream ring starts, in pages, as OPEN_CHANNEL says it.
  public var downstreamPageOffset: UInt32 { UInt32(downstreamControl / 4096) }

  /// Halves a mapping of `byteCount` bytes; nil unless each half is whole pages, at least two.
  public init?(byteCount: Int) {
    guard byteCount >= 4 * 4096, byteCount % (2 * 4096) == 0 else { return nil }
    dataByteCount = byteCount / 2 - RingControlPage.byteCount
  }
}
