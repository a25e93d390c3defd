/// The header in front of each frame of a TAP (Linux: struct virtio_net_hdr_mrg_rxbuf), little-endian form.
public struct VirtioNetHeader: Hashable, BitwiseCopyable, Sendable {
  /// Bit 0 NEEDS_CSUM, bit 1 DATA_VALID, bit 2 RSC_INFO.
  public var flags: UInt8
  /// 0 none, 1 TCP over IPv4, 4 TCP over IPv6, others see Linux: VIRTIO_NET_HDR_GSO; bit 7 ECN.
  public var gsoType: UInt8
  /// Where the layer-4 header ends, in bytes.
  public var headerByteCount: UInt16
  /// Payload bytes per segment.
  public var segmentByteCount: UInt16
  /// Where to start summing.
  public var checksumStart: UInt16
  /// Where the checksum field is, from the start of the sum.
  public var checksumOffset: UInt16

  /// The size with the word that counts buffers, in bytes.
  @inlinable public static var byteCount: Int { 12 }
  /// NEEDS_CSUM.
  @inlinable public static var needsChecksum: UInt8 { 1 }
  /// GSO_TCPV4.
  @inlinable public static var gsoTCP4: UInt8 { 1 }
  /// GSO_TCPV6.
  @inlinable public static var gsoTCP6: UInt8 { 4 }

  /// A header as given; by default that of a plain frame.
  @inlinable
  public init(
    flags: UInt8 = 0, gsoType: UInt8 = 0, headerByteCount: UInt16 = 0, segmentByteCount: UInt16 = 0,
    checksumStart: UInt16 = 0, checksumOffset: UInt16 = 0
  ) {
    self.flags = flags
    self.gsoType = gsoType
    self.headerByteCount = headerByteCount
    self.segmentByteCount = segmentByteCount
    self.checksumStart = checksumStart
    self.checksumOffset = checksumOffset
  }

  /// A header from its first 8 bytes and the 2 after them, each read as a little-endian number.
  @inlinable
  public init(low: UInt64, high: UInt16) {
    flags = UInt8(truncatingIfNeeded: low)
    gsoType = UInt8(truncatingIfNeeded: low >> 8)
    headerByteCount = UInt16(truncatingIfNeeded: low >> 16)
    segmentByteCount = UInt16(truncatingIfNeeded: low >> 32)
    checksumStart = UInt16(truncatingIfNeeded: low >> 48)
    checksumOffset = high
  }

  /// The first 8 bytes as a little-endian number.
  @inlinable
  public var low: UInt64 {
    UInt64(flags) | UInt64(gsoType) << 8 | UInt64(headerByteCount) << 16 | UInt64(segmentByteCount) << 32
      | UInt64(checksumStart) << 48
  }

  /// The 4 bytes after the first 8 as a little-endian number; the count of buffers is written as zero.
  @inlinable public var high: UInt32 { UInt32(checksumOffset) }
}

extension FrameOffload {
  /// What a TAP's header says about the frame of `frameByteCount` bytes behind it; a tag in the frame stays there.
  ///
  /// Nil when the header contradicts the frame, or asks for segmentation other than TCP's. The ECN bit is dropped.
  @inlinable
  public init?(_ header: VirtioNetHeader, frameByteCount: Int) {
    self.init()
    if header.flags & VirtioNetHeader.needsChecksum != 0 {
      guard Int(header.checksumStart) + Int(header.checksumOffset) + 2 <= frameByteCount else { return nil }
      checksum = .partial(start: header.checksumStart, offset: header.checksumOffset)
    }
    guard header.gsoType != 0 else { return }
    guard header.segmentByteCount > 0, header.headerByteCount <= frameByteCount, header.checksumOffset == 16,
      needsChecksum, header.headerByteCount > header.checksumStart
    else { return nil }
    switch header.gsoType & 0x7f {
    case VirtioNetHeader.gsoTCP4:
      segmentation = .tcp4(
        segmentByteCount: header.segmentByteCount, headerByteCount: header.headerByteCount)
    case VirtioNetHeader.gsoTCP6:
      segmentation = .tcp6(
        segmentByteCount: header.segmentByteCount, headerByteCount: header.headerByteCount)
    default:
      return nil
    }
  }

  /// This offload after the tag `vlan` was taken out of the frame: offsets behind the addresses shrink by 4 bytes.
  @inlinable
  public func removingTag(_ vlan: UInt16) -> FrameOffload {
    var result = shifted(by: -4)
    result.vlan = vlan
    return result
  }

  /// This offload after its tag was put into the frame: offsets behind the addresses grow by 4 bytes.
  @inlinable
  public func insertingTag() -> FrameOffload {
    guard vlan != nil else { return self }
    var result = shifted(by: 4)
    result.vlan = nil
    return result
  }

  @inlinable
  func shifted(by distance: Int) -> FrameOffload {
    func move(_ offset: UInt16) -> UInt16 { UInt16(clamping: Int(offset) + distance) }
    var result = self
    if case .partial(let start, let offset) = checksum {
      result.checksum = .partial(start: move(start), offset: offset)
    }
    switch segmentation {
    case .none: break
    case .tcp4(let segment, let header):
      result.segmentation = .tcp4(segmentByteCount: segment, headerByteCount: move(header))
    case .tcp6(let segment, let header):
      result.segmentation = .tcp6(segmentByteCount: segment, headerByteCount: move(header))
    }
    return result
  }
}

extension VirtioNetHeader {
  /// The header with which a frame goes to a TAP, its tag, if it has one, in the frame.
  ///
  /// A verified checksum cannot be told: Linux ignores DATA_VALID on what is written to a TAP.
  @inlinable
  public init(_ offload: FrameOffload) {
    let inline = offload.insertingTag()
    self.init()
    if case .partial(let start, let offset) = inline.checksum {
      flags = VirtioNetHeader.needsChecksum
      checksumStart = start
      checksumOffset = offset
    }
    switch inline.segmentation {
    case .none: break
    case .tcp4(let segment, let header):
      gsoType = VirtioNetHeader.gsoTCP4
      segmentByteCount = segment
      headerByteCount = header
    case .tcp6(let segment, let header):
      gsoType = VirtioNetHeader.gsoTCP6
      segmentByteCount = segment
      headerByteCount = header
    }
  }
}
