import SharedMemory
import WireBytes

extension FrameFinisher {
  /// The least payload of a segment, in bytes: with all options Linux sends no smaller ones (TCP_MIN_SND_MSS). It bounds
  /// what one frame of a hostile peer can be blown up to.
  static let minimumSegmentByteCount = 8

  /// Where things are in the headers of a frame that is to be cut, its tag put in.
  private struct Plan {
    var headers: FrameHeaders
    /// Bytes of tags in front of what `headers` counts from.
    var tagsByteCount: Int
    var tcpOffset: Int
    var headersByteCount: Int
    /// The end of the packet; padding may follow it.
    var packetByteCount: Int
    /// Pseudo-header sum without the length.
    var seed: UInt16
    var sequenceNumber: UInt32
    var identification: UInt16
    var flags: UInt8
  }

  /// Segments for one frame.
  mutating func cut(
    _ frame: LentFrame, _ tag: UInt16?, segmentByteCount: Int, isIPv6: Bool, _ body: (LentFrame) -> Void
  ) -> FinishResult {
    let shift = tag == nil ? 0 : FrameFinisher.tagByteCount
    var offload = tag == nil ? frame.offload : frame.offload.insertingTag()
    guard segmentByteCount >= FrameFinisher.minimumSegmentByteCount,
      case .partial(let start, let offset) = offload.checksum,
      Int(offset) == FrameHeaders.tcpChecksumOffset
    else { return .malformed }
    // The TCP header has at most 60 bytes. What is copied of the payload here is not looked at.
    let copied = min(frame.byteCount, Int(start) - shift + 60)
    guard copied >= 14 else { return .malformed }
    copy(frame, count: copied, tag, to: FrameFinisher.headersOffset)
    guard let plan = plan(headersByteCount: copied + shift, tcpOffset: Int(start), isIPv6: isIPv6),
      plan.packetByteCount <= frame.byteCount + shift
    else { return .malformed }
    offload.segmentation = .none
    offload.checksum = .verified
    var done = 0
    var index = 0
    let payloadByteCount = plan.packetByteCount - plan.headersByteCount
    repeat {
      let count = min(segmentByteCount, payloadByteCount - done)
      fill(plan, index: index, done: done, isLast: done + count == payloadByteCount, frame, shift, count)
      handOut(count: plan.headersByteCount + count, offload, body)
      done += count
      index += 1
    } while done < payloadByteCount
    return .finished(frameCount: index)
  }

  private func plan(headersByteCount: Int, tcpOffset: Int, isIPv6: Bool) -> Plan? {
    let start = FrameFinisher.headersOffset
    return FrameFinisher.plan(
      memory.bytes.extracting(start..<(start + headersByteCount)), tcpOffset: tcpOffset, isIPv6: isIPv6)
  }

  /// Finds the parts of `headers`; nil when they are not those of such a frame.
  private static func plan(_ headers: RawSpan, tcpOffset: Int, isIPv6: Bool) -> Plan? {
    // Tags that are in the frame stay: every segment gets them.
    var tags = 0
    while tags + 14 <= headers.byteCount, isTag(headers.be16(at: tags + 12)) { tags += tagByteCount }
    guard tags + 14 <= headers.byteCount,
      let parsed = FrameHeaders(parsing: headers.extracting(tags..<headers.byteCount)), parsed.isIPv6 == isIPv6,
      !parsed.isFragment
    else { return nil }
    let isDirect = tags + parsed.layer4Offset == tcpOffset && parsed.protocolNumber == FrameHeaders.tcp
    // Only IPv6 may have more headers in between.
    guard isDirect || isIPv6 && parsed.protocolNumber != FrameHeaders.tcp && tags + parsed.layer4Offset < tcpOffset,
      let end = FrameHeaders.endOfTCP(headers, at: tcpOffset)
    else { return nil }
    let packetEnd = tags + parsed.statedByteCount
    guard end <= packetEnd else { return nil }
    let seed = headers.be16(at: tcpOffset + FrameHeaders.tcpChecksumOffset)
    let layer4ByteCount = UInt16(truncatingIfNeeded: packetEnd - tcpOffset)
    return Plan(
      headers: parsed, tagsByteCount: tags, tcpOffset: tcpOffset, headersByteCount: end, packetByteCount: packetEnd,
      seed: InternetChecksum.fold(UInt64(seed) + UInt64(~layer4ByteCount)),
      sequenceNumber: headers.be32(at: tcpOffset + 4), identification: headers.be16(at: tags + 18),
      flags: headers.byte(at: tcpOffset + 13))
  }

  private static func isTag(_ etherType: UInt16) -> Bool { etherType == 0x8100 || etherType == 0x88a8 }

  /// Puts segment `index` together: `count` bytes of payload after the first `done`.
  private mutating func fill(
    _ plan: Plan, index: Int, done: Int, isLast: Bool, _ frame: LentFrame, _ shift: Int, _ count: Int
  ) {
    let end = plan.headersByteCount
    let template = memory.slice.slice(at: FrameFinisher.headersOffset, count: end)
    var bytes = memory.mutableBytes
    var target = bytes._mutatingExtracting(0..<(end + count))
    var start = target._mutatingExtracting(0..<end)
    template.copyOut(into: &start)
    var payload = target._mutatingExtracting(end..<(end + count))
    frame.bytes.copyOut(from: end - shift + done, into: &payload)

    if !plan.headers.isIPv6 {
      target.storeBE(plan.identification &+ UInt16(truncatingIfNeeded: index), at: plan.tagsByteCount + 18)
    }
    var network = target._mutatingExtracting(plan.tagsByteCount..<end)
    // A segment is not longer than the packet, whose length fits.
    _ = plan.headers.storeLength(frameByteCount: end + count - plan.tagsByteCount, into: &network)

    let tcp = plan.tcpOffset
    target.storeBE(plan.sequenceNumber &+ UInt32(truncatingIfNeeded: done), at: tcp + 4)
    var flags = plan.flags
    if !isLast { flags &= ~0x09 }  // FIN and PSH belong to the last byte,
    if index > 0 { flags &= ~0x80 }  // CWR to one segment.
    target.storeBE(flags, at: tcp + 13)
    let field = tcp + FrameHeaders.tcpChecksumOffset
    target.storeBE(0 as UInt16, at: field)
    let length = UInt64(end + count - tcp)
    let seed = InternetChecksum.fold(UInt64(plan.seed) + length)
    target.storeBE(~InternetChecksum.sum(target.bytes, tcp..<(end + count), seed: seed), at: field)
  }
}
