public import Ethernet
import WireBytes

/// What a guest may ask of its host, and how it asks.
public struct TransmitOffloads: Hashable, BitwiseCopyable, Sendable {
  /// How a frame goes to the host.
  public enum Plan: Hashable, BitwiseCopyable, Sendable {
    /// With this information; the headers have been rewritten where it needs that.
    case send(PacketInformation)
    /// With this information, after its checksum has been completed.
    case complete(PacketInformation)
    /// In pieces: the host does not segment it.
    case segment
  }

  /// Whether the host sums TCP over IPv4.
  public var tcp4 = false
  /// Whether the host sums UDP over IPv4.
  public var udp4 = false
  /// Whether the host sums TCP over IPv6.
  public var tcp6 = false
  /// Whether the host sums UDP over IPv6.
  public var udp6 = false
  /// The largest frame of TCP over IPv4 that the host segments, in bytes; 0 if it does not.
  public var largeSend4ByteCount = 0
  /// The largest frame of TCP over IPv6 that the host segments, in bytes; 0 if it does not.
  public var largeSend6ByteCount = 0

  /// The largest layer-4 offset that the words can say.
  @inlinable public static var maximumLayer4Offset: Int { 1023 }

  /// Nothing.
  @inlinable
  public init() {}

  /// What the host's capabilities allow, as Linux reads them: TCP only with options, segmentation only with TCP.
  public init(_ offered: NDISOffload) {
    let four = offered.transmit4.features
    let six = offered.transmit6.features
    tcp4 = four.isSuperset(of: [.tcp, .tcpOptions])
    udp4 = four.contains(.udp)
    tcp6 = six.isSuperset(of: [.tcp, .tcpOptions, .ipOptions])
    udp6 = six.contains(.udp)
    if tcp4, offered.largeSend4.encapsulation.contains(.ieee8023) {
      largeSend4ByteCount = Int(offered.largeSend4.maximumByteCount)
    }
    if tcp6, offered.largeSend6.encapsulation.contains(.ieee8023),
      offered.largeSend6Options.isSuperset(of: [.extensionHeaders, .tcpOptions])
    {
      largeSend6ByteCount = Int(offered.largeSend6.maximumByteCount)
    }
  }

  /// How the untagged frame that starts with `headers` goes to the host.
  ///
  /// For segmentation by the host, IP length, IPv4 checksum and seed in `headers` become what RNDIS wants: zero, zero,
  /// and a sum without the length.
  /// - Parameters:
  ///   - headers: the start of the frame, up to the end of the TCP header at least when it is to be segmented.
  ///   - frameByteCount: the whole frame, in bytes.
  public func plan(_ offload: FrameOffload, headers: inout MutableRawSpan, frameByteCount: Int) -> Plan {
    var information = PacketInformation()
    information.vlan = offload.vlan.map { PacketVLAN(tagControl: $0) }
    guard case .partial(let start, let offset) = offload.checksum else {
      return offload.segmentation == .none ? .send(information) : .segment
    }
    let parsed = FrameHeaders(parsing: headers.bytes)
    switch offload.segmentation {
    case .none:
      guard let parsed, !parsed.isFragment, parsed.checksumOffset == Int(offset), parsed.layer4Offset == Int(start),
        parsed.layer4Offset <= TransmitOffloads.maximumLayer4Offset, sums(parsed)
      else { return .complete(information) }
      information.checksum =
        TransmitChecksum(
          ipv6: parsed.isIPv6, udp: parsed.protocolNumber == FrameHeaders.udp, layer4Offset: parsed.layer4Offset
        ).rawValue
      return .send(information)
    case .tcp4(let segment, _), .tcp6(let segment, _):
      let wantsIPv6 = if case .tcp6 = offload.segmentation { true } else { false }
      guard let parsed, segment > 0, parsed.isIPv6 == wantsIPv6, !parsed.isFragment,
        parsed.protocolNumber == FrameHeaders.tcp, offset == 16, parsed.layer4Offset == Int(start),
        FrameHeaders.endOfTCP(headers.bytes, at: parsed.layer4Offset) != nil,
        frameByteCount <= (wantsIPv6 ? largeSend6ByteCount : largeSend4ByteCount),
        parsed.storeLength(frameByteCount: nil, into: &headers)
      else { return .segment }
      let seed = parsed.pseudoHeaderSum(headers.bytes, protocolNumber: FrameHeaders.tcp, layer4ByteCount: 0)
      headers.storeBE(seed, at: parsed.layer4Offset + FrameHeaders.tcpChecksumOffset)
      information.largeSend = LargeSendOffload(
        ipv6: wantsIPv6, segmentByteCount: segment, layer4Offset: parsed.layer4Offset)
      return .send(information)
    }
  }

  private func sums(_ headers: FrameHeaders) -> Bool {
    switch (headers.protocolNumber, headers.isIPv6) {
    case (FrameHeaders.tcp, false): tcp4
    case (FrameHeaders.udp, false): udp4
    case (FrameHeaders.tcp, true): tcp6
    case (FrameHeaders.udp, true): udp6
    default: false
    }
  }
}

extension PacketInformation {
  /// What a guest asks for its untagged frame, which starts with `headers`; they are rewritten to be self-consistent.
  ///
  /// Of a frame to be segmented only addresses, protocol and header sizes are read: some guests leave the rest as the
  /// application wrote it. Length, IPv4 checksum and seed are computed.
  /// - Parameters:
  ///   - headers: a private copy of the start of the frame, to the end of the layer-4 header if that is there.
  ///   - frameByteCount: the whole frame, in bytes.
  /// - Throws: when the frame is not what the request says; the frame is to be dropped then.
  public func transmitOffload(
    headers: inout MutableRawSpan, frameByteCount: Int
  ) throws(NetvscError) -> FrameOffload {
    var offload = FrameOffload(vlan: vlan?.tagControl)
    if let largeSend {
      try segment(largeSend, &offload, &headers, frameByteCount)
    } else if let checksum {
      try sum(TransmitChecksum(rawValue: checksum), &offload, &headers, frameByteCount)
    }
    return offload
  }

  private func segment(
    _ request: LargeSendOffload, _ offload: inout FrameOffload, _ headers: inout MutableRawSpan, _ frameByteCount: Int
  ) throws(NetvscError) {
    guard request.isVersion2, let segment = UInt16(exactly: request.segmentByteCount), segment > 0 else {
      throw .frame(.segmentSize)
    }
    guard let parsed = FrameHeaders(parsing: headers.bytes), parsed.isIPv6 == request.isIPv6 else {
      throw .frame(.notIP)
    }
    let start = try layer4Offset(request.layer4Offset, parsed, frameByteCount)
    guard parsed.protocolNumber == FrameHeaders.tcp || start != parsed.layer4Offset, !parsed.isFragment,
      let end = FrameHeaders.endOfTCP(headers.bytes, at: start), end <= frameByteCount
    else { throw .frame(.notTCP) }
    guard parsed.storeLength(frameByteCount: frameByteCount, into: &headers) else { throw .frame(.segmentSize) }
    let seed = parsed.pseudoHeaderSum(
      headers.bytes, protocolNumber: FrameHeaders.tcp, layer4ByteCount: frameByteCount - start)
    headers.storeBE(seed, at: start + FrameHeaders.tcpChecksumOffset)
    offload.checksum = .partial(start: UInt16(start), offset: UInt16(FrameHeaders.tcpChecksumOffset))
    // A frame that fits one segment goes out whole.
    guard frameByteCount - end > Int(segment) else { return }
    offload.segmentation =
      parsed.isIPv6
      ? .tcp6(segmentByteCount: segment, headerByteCount: UInt16(end))
      : .tcp4(segmentByteCount: segment, headerByteCount: UInt16(end))
  }

  private func sum(
    _ request: TransmitChecksum, _ offload: inout FrameOffload, _ headers: inout MutableRawSpan, _ frameByteCount: Int
  ) throws(NetvscError) {
    guard request.isTCP || request.isUDP || request.wantsIPHeader else { return }
    guard let parsed = FrameHeaders(parsing: headers.bytes) else { throw .frame(.notIP) }
    if request.wantsIPHeader { parsed.storeIPChecksum(into: &headers) }
    guard request.isTCP || request.isUDP else { return }
    guard parsed.isIPv6 ? request.isIPv6 : request.isIPv4 else { throw .frame(.notIP) }
    let start = try layer4Offset(request.layer4Offset, parsed, frameByteCount)
    let number = request.isTCP ? FrameHeaders.tcp : FrameHeaders.udp
    let offset = request.isTCP ? FrameHeaders.tcpChecksumOffset : FrameHeaders.udpChecksumOffset
    guard start + offset + 2 <= min(headers.byteCount, frameByteCount) else { throw .frame(.layer4Offset) }
    // Bytes behind the packet are padding; the receiver sums over what the IP header says.
    let end = parsed.statedByteCount
    let layer4ByteCount = (end > start && end <= frameByteCount ? end : frameByteCount) - start
    let seed = parsed.pseudoHeaderSum(headers.bytes, protocolNumber: number, layer4ByteCount: layer4ByteCount)
    headers.storeBE(seed, at: start + offset)
    offload.checksum = .partial(start: UInt16(start), offset: UInt16(offset))
  }

  /// Where the layer-4 header starts: behind the IP header if the guest does not say.
  private func layer4Offset(
    _ requested: Int, _ headers: FrameHeaders, _ frameByteCount: Int
  ) throws(NetvscError) -> Int {
    let start = requested == 0 ? headers.layer4Offset : requested
    // Only IPv6 may have more headers in between.
    guard headers.isIPv6 ? start >= headers.layer4Offset : start == headers.layer4Offset, start < frameByteCount
    else { throw .frame(.layer4Offset) }
    return start
  }
}
