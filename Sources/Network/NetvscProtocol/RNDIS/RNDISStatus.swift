/// A status of RNDIS and NDIS (Linux: RNDIS_STATUS).
public struct RNDISStatus: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Success.
  @inlinable public static var success: RNDISStatus { RNDISStatus(rawValue: 0) }
  /// Pending.
  @inlinable public static var pending: RNDISStatus { RNDISStatus(rawValue: 0x0000_0103) }
  /// Not recognised.
  @inlinable public static var notRecognized: RNDISStatus { RNDISStatus(rawValue: 0x0001_0001) }
  /// Buffer overflow.
  @inlinable public static var bufferOverflow: RNDISStatus { RNDISStatus(rawValue: 0x8000_0005) }
  /// Indication: a reset starts.
  @inlinable public static var resetStart: RNDISStatus { RNDISStatus(rawValue: 0x4001_0004) }
  /// Indication: a reset has ended.
  @inlinable public static var resetEnd: RNDISStatus { RNDISStatus(rawValue: 0x4001_0005) }
  /// Indication: the medium is connected.
  @inlinable public static var mediaConnect: RNDISStatus { RNDISStatus(rawValue: 0x4001_000b) }
  /// Indication: the medium is disconnected.
  @inlinable public static var mediaDisconnect: RNDISStatus { RNDISStatus(rawValue: 0x4001_000c) }
  /// Indication: the link speed; a 32-bit number of 100 bit/s units follows.
  @inlinable public static var linkSpeedChange: RNDISStatus { RNDISStatus(rawValue: 0x4001_0013) }
  /// Indication: the network behind the link is another one.
  @inlinable public static var networkChange: RNDISStatus { RNDISStatus(rawValue: 0x4001_0018) }
  /// Indication: the offloads in force; an NDIS_OFFLOAD follows.
  @inlinable public static var taskOffloadCurrentConfiguration: RNDISStatus { RNDISStatus(rawValue: 0x4002_0006) }
  /// Failure.
  @inlinable public static var failure: RNDISStatus { RNDISStatus(rawValue: 0xc000_0001) }
  /// Out of resources.
  @inlinable public static var resources: RNDISStatus { RNDISStatus(rawValue: 0xc000_009a) }
  /// Not supported: the answer to an OID that the peer does not know.
  @inlinable public static var notSupported: RNDISStatus { RNDISStatus(rawValue: 0xc000_00bb) }
  /// Bad version.
  @inlinable public static var badVersion: RNDISStatus { RNDISStatus(rawValue: 0xc001_0004) }
  /// The multicast list is full.
  @inlinable public static var multicastFull: RNDISStatus { RNDISStatus(rawValue: 0xc001_0009) }
  /// Invalid length.
  @inlinable public static var invalidLength: RNDISStatus { RNDISStatus(rawValue: 0xc001_0014) }
  /// Invalid data.
  @inlinable public static var invalidData: RNDISStatus { RNDISStatus(rawValue: 0xc001_0015) }
  /// Buffer too short.
  @inlinable public static var bufferTooShort: RNDISStatus { RNDISStatus(rawValue: 0xc001_0016) }
  /// Invalid OID.
  @inlinable public static var invalidOID: RNDISStatus { RNDISStatus(rawValue: 0xc001_0017) }
}

extension RNDISStatus: CustomStringConvertible {
  /// The number, as documents quote it.
  public var description: String { "RNDIS status 0x\(rawValue.hexadecimal(digits: 8))" }
}
