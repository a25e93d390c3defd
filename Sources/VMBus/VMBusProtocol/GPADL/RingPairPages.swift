/// The guest pages of the two rings of a channel, as OPEN_CHANNEL cuts them out of one GPADL.
///
/// The first page of each ring is its control page, the others are its data area.
public struct RingPairPages: Hashable, Sendable {
  /// The pages of the ring from guest to host.
  public let upstream: [UInt64]
  /// The pages of the ring from host to guest.
  public let downstream: [UInt64]

  /// Cuts the one range of `ranges` at `downstreamPageOffset`.
  ///
  /// - Throws: `GPADLError` unless there is exactly one range of whole pages and each ring gets a control page and a
  ///   data page.
  public init(ranges: [GPADLRange], downstreamPageOffset: UInt32) throws(GPADLError) {
    guard ranges.count == 1, let range = ranges.first, range.byteOffset == 0, range.byteCount % 4096 == 0 else {
      throw .notARing
    }
    try range.validate()
    let pageCount = range.pages.count
    guard downstreamPageOffset >= 2, Int(downstreamPageOffset) + 2 <= pageCount else {
      throw .downstreamOffset(downstreamPageOffset, pageCount: pageCount)
    }
    upstream = Array(range.pages[..<Int(downstreamPageOffset)])
    downstream = Array(range.pages[Int(downstreamPageOffset)...])
  }
}
