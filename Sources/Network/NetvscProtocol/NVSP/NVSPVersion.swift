/// A version of the network virtual service protocol (Linux: NVSP_PROTOCOL_VERSION).
public struct NVSPVersion: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A version as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The first version.
  @inlinable public static var v1: NVSPVersion { NVSPVersion(rawValue: 0x0000_0002) }
  /// Adds NDIS_CONFIG.
  @inlinable public static var v2: NVSPVersion { NVSPVersion(rawValue: 0x0003_0002) }
  /// Adds VF association and the data path switch.
  @inlinable public static var v4: NVSPVersion { NVSPVersion(rawValue: 0x0004_0000) }
  /// Adds sub-channels, the send indirection table and NDIS 6.30.
  @inlinable public static var v5: NVSPVersion { NVSPVersion(rawValue: 0x0005_0000) }
  /// The message set of 5.
  @inlinable public static var v6: NVSPVersion { NVSPVersion(rawValue: 0x0006_0000) }
  /// Adds receive segment coalescing and 40-byte messages.
  @inlinable public static var v6_1: NVSPVersion { NVSPVersion(rawValue: 0x0006_0001) }

  /// The known versions, newest first: the order in which a guest asks.
  public static let newestFirst: [NVSPVersion] = [.v6_1, .v6, .v5, .v4, .v2, .v1]

  /// Whether the version is one of ``newestFirst``.
  public var isKnown: Bool { NVSPVersion.newestFirst.contains(self) }

  /// Whether NDIS_CONFIG exists.
  @inlinable public var hasConfiguration: Bool { rawValue >= NVSPVersion.v2.rawValue }
  /// Whether sub-channels, RSS and link speed exist.
  @inlinable public var hasSubChannels: Bool { rawValue >= NVSPVersion.v5.rawValue }
  /// Whether receive segment coalescing exists.
  @inlinable public var hasReceiveCoalescing: Bool { rawValue >= NVSPVersion.v6_1.rawValue }

  /// The highest message type; one above it is a protocol error of the guest.
  @inlinable
  public var highestMessageType: NVSPMessageType {
    switch rawValue {
    case NVSPVersion.v6_1.rawValue...: .packetDirectPostBatch
    case NVSPVersion.v5.rawValue...: .sendIndirectionTable
    case NVSPVersion.v4.rawValue...: .uplinkConnectState
    case NVSPVersion.v2.rawValue...: .allocateChimneyHandleComplete
    default: .sendRNDISPacketComplete
    }
  }

  /// The bytes of a message from the host; before negotiation that of the first version. Guests always send 40.
  @inlinable public var hostMessageByteCount: Int { hasReceiveCoalescing ? 40 : 28 }

  /// The NDIS version that a guest tells.
  @inlinable
  public var ndisVersion: NDISVersion {
    hasSubChannels ? NDISVersion(major: 6, minor: 30) : NDISVersion(major: 6, minor: 1)
  }

  /// The revision of NDIS_OFFLOAD with which a guest asks.
  @inlinable
  public var offloadRevision: UInt8 { hasSubChannels ? 3 : rawValue >= NVSPVersion.v4.rawValue ? 2 : 1 }

  /// The largest receive buffer that a host takes, in bytes: 15 MiB at 2 and below, else 31 MiB.
  @inlinable
  public var maximumReceiveBufferByteCount: Int { (rawValue <= NVSPVersion.v2.rawValue ? 15 : 31) << 20 }
}

extension NVSPVersion: CustomStringConvertible {
  /// For instance "NVSP 6.1".
  public var description: String {
    switch self {
    case .v1: "NVSP 1"
    case .v2: "NVSP 2"
    case .v6_1: "NVSP 6.1"
    case .v4, .v5, .v6: "NVSP \(rawValue >> 16)"
    default: "NVSP version 0x\(rawValue.hexadecimal(digits: 8))"
    }
  }
}

/// A version of NDIS, as a guest tells it after negotiation.
public struct NDISVersion: Hashable, BitwiseCopyable, Sendable {
  /// The major version.
  public var major: UInt32
  /// The minor version, decimal: 30 for 6.30.
  public var minor: UInt32

  /// A version as given.
  @inlinable
  public init(major: UInt32, minor: UInt32) {
    self.major = major
    self.minor = minor
  }
}

/// A status of NVSP (Linux: NVSP_STAT).
public struct NVSPStatus: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A status as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// NONE; some hosts refuse a version with it.
  @inlinable public static var none: NVSPStatus { NVSPStatus(rawValue: 0) }
  /// SUCCESS; every other value is a refusal.
  @inlinable public static var success: NVSPStatus { NVSPStatus(rawValue: 1) }
  /// FAIL.
  @inlinable public static var failure: NVSPStatus { NVSPStatus(rawValue: 2) }
  /// PROTOCOL_TOO_NEW.
  @inlinable public static var versionTooNew: NVSPStatus { NVSPStatus(rawValue: 3) }
  /// PROTOCOL_TOO_OLD.
  @inlinable public static var versionTooOld: NVSPStatus { NVSPStatus(rawValue: 4) }
  /// INVALID_RNDIS_PKT.
  @inlinable public static var invalidRNDISPacket: NVSPStatus { NVSPStatus(rawValue: 5) }
  /// BUSY.
  @inlinable public static var busy: NVSPStatus { NVSPStatus(rawValue: 6) }
  /// PROTOCOL_UNSUPPORTED.
  @inlinable public static var protocolUnsupported: NVSPStatus { NVSPStatus(rawValue: 7) }
}

extension NVSPStatus: CustomStringConvertible {
  /// The name, or the number.
  public var description: String {
    let names = [
      "none", "success", "failure", "version too new", "version too old", "invalid RNDIS packet", "busy",
      "protocol unsupported",
    ]
    return rawValue < 8 ? names[Int(rawValue)] : "NVSP status \(rawValue)"
  }
}
