public import Ethernet
import WireBytes

extension PacketInformation {
  /// What a host says about the untagged frame that starts with `headers`.
  ///
  /// A coalesced frame, which no medium could carry, becomes one to be segmented: its IPv4 checksum is computed where
  /// the host says so, its checksum field gets a seed. The segments are the largest that `mtu` allows, since the host
  /// does not tell what they were.
  /// - Parameters:
  ///   - headers: a private copy of the start of the frame, to the end of the TCP header if that is there.
  ///   - frameByteCount: the whole frame, in bytes.
  ///   - mtu: the MTU of the link, without the Ethernet header, in bytes.
  public func receiveOffload(headers: inout MutableRawSpan, frameByteCount: Int, mtu: Int) -> FrameOffload {
    var offload = FrameOffload(vlan: vlan?.tagControl, flowHash: flowHash)
    let result = ReceiveChecksum(rawValue: checksum ?? 0)
    guard !result.hasFailed else { return offload }
    let isLong = frameByteCount > mtu + FrameHeaders.networkOffset
    let isVerified = !result.isDisjoint(with: [.tcpSucceeded, .udpSucceeded])
    let isStale = result.isSuperset(of: [.tcpSucceeded, .tcpValueInvalid])
    if isVerified, !isStale { offload.checksum = .verified }
    guard isLong || isStale || result.contains(.ipValueInvalid), let parsed = FrameHeaders(parsing: headers.bytes)
    else { return offload }
    if result.isSuperset(of: [.ipValueInvalid, .ipSucceeded]) { parsed.storeIPChecksum(into: &headers) }
    guard isLong || isStale, parsed.protocolNumber == FrameHeaders.tcp, !parsed.isFragment,
      let end = FrameHeaders.endOfTCP(headers.bytes, at: parsed.layer4Offset), end <= parsed.statedByteCount,
      parsed.statedByteCount <= frameByteCount
    else { return offload }
    let start = parsed.layer4Offset
    let seed = parsed.pseudoHeaderSum(
      headers.bytes, protocolNumber: FrameHeaders.tcp, layer4ByteCount: parsed.statedByteCount - start)
    headers.storeBE(seed, at: start + FrameHeaders.tcpChecksumOffset)
    offload.checksum = .partial(start: UInt16(start), offset: UInt16(FrameHeaders.tcpChecksumOffset))
    let segment = mtu + FrameHeaders.networkOffset - end
    if isLong, let segment = UInt16(exactly: segment), segment > 0 {
      offload.segmentation =
        parsed.isIPv6
        ? .tcp6(segmentByteCount: segment, headerByteCount: UInt16(end))
        : .tcp4(segmentByteCount: segment, headerByteCount: UInt16(end))
    }
    return offload
  }

  /// What a host tells a guest about the untagged frame that starts with `headers`.
  ///
  /// A partial checksum must have been completed before, a frame to be segmented must have been cut: a guest may
  /// forward or capture what it gets. Nothing is said then.
  /// - Parameters:
  ///   - hashInfo: the kind of ``FrameOffload/flowHash``, if that is to be told.
  public init(receiving offload: FrameOffload, headers: RawSpan, hashInfo: RSSHashTypes? = nil) {
    self.init()
    vlan = offload.vlan.map { PacketVLAN(tagControl: $0) }
    if let hash = offload.flowHash, let hashInfo {
      flowHash = hash
      self.hashInfo = hashInfo
    }
    guard offload.checksum == .verified, let parsed = FrameHeaders(parsing: headers), !parsed.isFragment else { return }
    var result: ReceiveChecksum = parsed.isIPv6 ? [] : .ipSucceeded
    switch parsed.protocolNumber {
    case FrameHeaders.tcp: result.insert(.tcpSucceeded)
    case FrameHeaders.udp: result.insert(.udpSucceeded)
    default: return
    }
    checksum = result.rawValue
  }
}

extension FrameOffload {
  /// This offload with a verified checksum turned into a partial one, and the seed for it stored in `headers`.
  ///
  /// A TAP takes no other word for it that a checksum is right. Frames that are not TCP or UDP, fragments, and UDP
  /// without a checksum become ``Checksum/complete``: the reader verifies for itself.
  /// - Parameters:
  ///   - headers: the start of the untagged frame.
  ///   - frameByteCount: the whole frame, in bytes.
  public func seeding(headers: inout MutableRawSpan, frameByteCount: Int) -> FrameOffload {
    guard checksum == .verified else { return self }
    var result = self
    result.checksum = .complete
    // With padding behind the packet the sum would go over it.
    guard let parsed = FrameHeaders(parsing: headers.bytes), !parsed.isFragment, let offset = parsed.checksumOffset,
      parsed.statedByteCount == frameByteCount, parsed.layer4Offset + offset + 2 <= headers.byteCount,
      parsed.layer4Offset + offset + 2 <= frameByteCount
    else { return result }
    let field = parsed.layer4Offset + offset
    if parsed.protocolNumber == FrameHeaders.udp, headers.bytes.be16(at: field) == 0 { return result }
    let seed = parsed.pseudoHeaderSum(
      headers.bytes, protocolNumber: parsed.protocolNumber, layer4ByteCount: frameByteCount - parsed.layer4Offset)
    headers.storeBE(seed, at: field)
    result.checksum = .partial(start: UInt16(parsed.layer4Offset), offset: UInt16(offset))
    return result
  }
}
