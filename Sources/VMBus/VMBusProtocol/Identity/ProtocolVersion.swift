/// A version of the VMBus protocol: the major number in the upper half of a word, the minor in the lower.
public struct ProtocolVersion: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  /// `major << 16 | minor`.
  public let rawValue: UInt32

  /// Takes any word; a peer may ask for a version that we do not know.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The version `major.minor`.
  public init(_ major: UInt16, _ minor: UInt16) {
    rawValue = UInt32(major) << 16 | UInt32(minor)
  }

  /// Windows Server 2008: the base protocol, with shared interrupt pages.
  public static let v0_13 = ProtocolVersion(0, 13)
  /// Windows Server 2008 R2 and Windows 7.
  public static let v1_1 = ProtocolVersion(1, 1)
  /// Windows Server 2012: event flags and dedicated channel interrupts.
  public static let v2_4 = ProtocolVersion(2, 4)
  /// Windows Server 2012 R2: the target VP is honoured; reconnect after UNLOAD.
  public static let v3_0 = ProtocolVersion(3, 0)
  /// Windows 10: hvsock.
  public static let v4_0 = ProtocolVersion(4, 0)
  /// Windows 10 RS3: MODIFY_CHANNEL.
  public static let v4_1 = ProtocolVersion(4, 1)
  /// Windows 10 RS3: target information instead of the interrupt page, message connection id in the answer.
  public static let v5_0 = ProtocolVersion(5, 0)
  /// Windows 10 RS4: the VTL in the target information.
  public static let v5_1 = ProtocolVersion(5, 1)
  /// Windows Server 2019: the silo GUID of hvsock connects.
  public static let v5_2 = ProtocolVersion(5, 2)
  /// Windows Server 2022: MODIFY_CHANNEL_RESPONSE.
  public static let v5_3 = ProtocolVersion(5, 3)
  /// Feature flags.
  public static let v6_0 = ProtocolVersion(6, 0)

  /// What a guest asks for, in this order, until the host accepts one; the list of Linux.
  public static let offered: [ProtocolVersion] = [.v5_3, .v5_2, .v5_1, .v5_0, .v4_1, .v4_0, .v3_0, .v2_4]

  /// Every version that the layouts of this module cover, oldest first.
  public static let known: [ProtocolVersion] = [
    .v0_13, .v1_1, .v2_4, .v3_0, .v4_0, .v4_1, .v5_0, .v5_1, .v5_2, .v5_3, .v6_0,
  ]

  /// The major number.
  public var major: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 16) }
  /// The minor number.
  public var minor: UInt16 { UInt16(truncatingIfNeeded: rawValue) }

  /// Whether signals travel through the interrupt page named in INITIATE_CONTACT (below 2.4).
  public var usesInterruptPage: Bool { self < .v2_4 }
  /// Whether the host sends its messages to the VP named in INITIATE_CONTACT (3.0 and above).
  public var honoursTargetVP: Bool { self >= .v3_0 }
  /// Whether INITIATE_CONTACT carries SINT and, from 5.1 on, VTL, and the answer a message connection id.
  public var carriesTargetInfo: Bool { self >= .v5_0 }
  /// Whether both sides exchange feature flags (6.0 and above).
  public var carriesFeatures: Bool { self >= .v6_0 }
  /// Whether the host answers MODIFY_CHANNEL (5.3 and above).
  public var answersModifyChannel: Bool { self >= .v5_3 }

  /// The connection id to which a guest posts INITIATE_CONTACT for this version.
  public var contactConnectionID: UInt32 {
    carriesTargetInfo ? ConnectionID.message : ConnectionID.legacyMessage
  }

  /// Older before newer.
  public static func < (left: ProtocolVersion, right: ProtocolVersion) -> Bool {
    left.rawValue < right.rawValue
  }

  /// `major.minor`.
  public var description: String { "\(major).\(minor)" }
}
