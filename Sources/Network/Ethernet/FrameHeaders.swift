public import WireBytes

/// Where the headers of an untagged IP frame are.
public struct FrameHeaders: Hashable, BitwiseCopyable, Sendable {
  /// Whether the frame is IPv6.
  public var isIPv6: Bool
  /// Where the payload of IP starts: behind IPv4 options, or behind the fixed IPv6 header.
  public var layer4Offset: Int
  /// The protocol of that payload; for IPv6 perhaps an extension header.
  public var protocolNumber: UInt8
  /// Whether the frame is an IPv4 fragment, the first included.
  public var isFragment: Bool
  /// The length that the IP header says, from the start of the frame.
  public var statedByteCount: Int

  /// The size of an Ethernet header without a tag, in bytes.
  @inlinable public static var networkOffset: Int { 14 }
  /// The protocol TCP.
  @inlinable public static var tcp: UInt8 { 6 }
  /// The protocol UDP.
  @inlinable public static var udp: UInt8 { 17 }
  /// Where the checksum is in a TCP header.
  @inlinable public static var tcpChecksumOffset: Int { 16 }
  /// Where the checksum is in a UDP header.
  @inlinable public static var udpChecksumOffset: Int { 6 }

  /// Parses the start of a frame; nil for what is not IP, is tagged, or has IP headers that are not whole.
  @inlinable
  public init?(parsing frame: RawSpan) {
    guard frame.byteCount >= 34 else { return nil }
    switch frame.be16(at: 12) {
    case 0x0800:
      let first = frame.byte(at: 14)
      let headerByteCount = Int(first & 15) * 4
      guard first >> 4 == 4, headerByteCount >= 20, 14 + headerByteCount <= frame.byteCount else { return nil }
      isIPv6 = false
      layer4Offset = 14 + headerByteCount
      protocolNumber = frame.byte(at: 23)
      isFragment = frame.be16(at: 20) & 0x3fff != 0
      statedByteCount = 14 + Int(frame.be16(at: 16))
    case 0x86dd:
      guard frame.byteCount >= 54, frame.byte(at: 14) >> 4 == 6 else { return nil }
      isIPv6 = true
      layer4Offset = 54
      protocolNumber = frame.byte(at: 20)
      isFragment = false
      statedByteCount = 54 + Int(frame.be16(at: 18))
    default:
      return nil
    }
  }

  /// Where the checksum is in the layer-4 header; nil for what is neither TCP nor UDP.
  @inlinable
  public var checksumOffset: Int? {
    switch protocolNumber {
    case FrameHeaders.tcp: FrameHeaders.tcpChecksumOffset
    case FrameHeaders.udp: FrameHeaders.udpChecksumOffset
    default: nil
    }
  }

  /// Where the TCP header at `offset` ends; nil if it is not whole.
  @inlinable
  public static func endOfTCP(_ frame: RawSpan, at offset: Int) -> Int? {
    guard offset >= 0, offset + 20 <= frame.byteCount else { return nil }
    let count = Int(frame.byte(at: offset + 12) >> 4) * 4
    guard count >= 20, offset + count <= frame.byteCount else { return nil }
    return offset + count
  }

  /// The folded sum of the pseudo-header, which `layer4ByteCount` enters unless it is 0.
  @inlinable
  public func pseudoHeaderSum(_ frame: RawSpan, protocolNumber: UInt8, layer4ByteCount: Int) -> UInt16 {
    let addresses = isIPv6 ? 22..<54 : 26..<34
    let sum = InternetChecksum.sum(frame, addresses)
    return InternetChecksum.fold(UInt64(sum) + UInt64(protocolNumber) + UInt64(max(layer4ByteCount, 0)))
  }

  /// Computes the checksum of the IPv4 header and stores it; nothing for IPv6.
  @inlinable
  public func storeIPChecksum(into frame: inout MutableRawSpan) {
    guard !isIPv6 else { return }
    frame.storeBE(UInt16(0), at: 24)
    frame.storeBE(~InternetChecksum.sum(frame.bytes, 14..<layer4Offset), at: 24)
  }

  /// Stores the length that a frame of `frameByteCount` bytes has in its IP header, or zero, and the IPv4 checksum that
  /// belongs to it, or zero; false if the length exceeds its field, and nothing is stored then.
  @inlinable
  public func storeLength(frameByteCount: Int?, into frame: inout MutableRawSpan) -> Bool {
    guard let length = UInt16(exactly: frameByteCount.map { $0 - (isIPv6 ? 54 : 14) } ?? 0) else { return false }
    frame.storeBE(length, at: isIPv6 ? 18 : 16)
    if frameByteCount == nil {
      if !isIPv6 { frame.storeBE(UInt16(0), at: 24) }
    } else {
      storeIPChecksum(into: &frame)
    }
    return true
  }
}
