/// A version of the storvsc protocol: major times 256 plus minor (Linux: VMSTOR_PROTO_VERSION).
public struct StorvscVersion: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt16

  /// A version as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// 2.0: Windows Server 2008.
  @inlinable public static var v2_0: StorvscVersion { StorvscVersion(rawValue: 0x0200) }
  /// 4.2: Windows 7, Windows Server 2008 R2.
  @inlinable public static var v4_2: StorvscVersion { StorvscVersion(rawValue: 0x0402) }
  /// 5.1: Windows 8, Windows Server 2012; the first with sub-channels and 64-byte packets.
  @inlinable public static var v5_1: StorvscVersion { StorvscVersion(rawValue: 0x0501) }
  /// 6.0: Windows 8.1, Windows Server 2012 R2.
  @inlinable public static var v6_0: StorvscVersion { StorvscVersion(rawValue: 0x0600) }
  /// 6.2: Windows 10, Windows Server 2016 and later. No difference to 6.0 is known.
  @inlinable public static var v6_2: StorvscVersion { StorvscVersion(rawValue: 0x0602) }

  /// The known versions, newest first: the order in which a guest asks. Those with ``hasLongRequests`` come before the
  /// others.
  public static let newestFirst: [StorvscVersion] = [.v6_2, .v6_0, .v5_1, .v4_2, .v2_0]

  /// Whether the version is one of ``newestFirst``.
  public var isKnown: Bool {
    StorvscVersion.newestFirst.contains(self)
  }

  /// Whether SCSI requests have the 16 bytes that Windows 8 added.
  @inlinable public var hasLongRequests: Bool { rawValue >= 0x0501 }

  /// Whether CREATE_SUB_CHANNELS exists.
  @inlinable public var hasSubChannels: Bool { rawValue >= 0x0501 }

  /// Whether a host may send ENUMERATE_BUS.
  @inlinable public var hasBusEnumeration: Bool { rawValue >= 0x0402 }

  /// The bytes of a vstor packet: 48 or 64.
  @inlinable
  public var packetByteCount: Int { hasLongRequests ? StorvscPacket.byteCount : StorvscPacket.shortByteCount }

  /// The bytes of a SCSI request, which is the largest payload: 36 or 52.
  @inlinable
  public var requestByteCount: Int { hasLongRequests ? SCSIRequest.byteCount : SCSIRequest.minimumByteCount }

  /// The sense bytes that a guest may count on: 18 or 20.
  @inlinable
  public var senseByteCount: Int { hasLongRequests ? 20 : 18 }
}

extension StorvscVersion: CustomStringConvertible {
  /// For instance "6.2".
  public var description: String {
    "\(rawValue >> 8).\(rawValue & 0xff)"
  }
}
