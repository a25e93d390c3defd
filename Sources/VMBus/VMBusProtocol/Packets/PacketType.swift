/// The type word of a ring packet; the peer may write one that we do not know.
public struct PacketType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The 16-bit word at offset 0 of the packet.
  public let rawValue: UInt16

  /// Takes any word.
  @inlinable
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// Data in the packet itself.
  @inlinable public static var inBand: PacketType { PacketType(rawValue: 0x6) }
  /// Data in a buffer that both sides know, host to guest only.
  @inlinable public static var transferPages: PacketType { PacketType(rawValue: 0x7) }
  /// Data in guest pages that the packet lists, guest to host only.
  @inlinable public static var gpaDirect: PacketType { PacketType(rawValue: 0x9) }
  /// The answer to a packet that asked for one.
  @inlinable public static var completion: PacketType { PacketType(rawValue: 0xb) }

  /// The name, or the number; types that nobody was seen to send have no name.
  public var description: String {
    switch self {
    case .inBand: "in-band"
    case .transferPages: "transfer-pages"
    case .gpaDirect: "GPA-direct"
    case .completion: "completion"
    default: "packet type \(rawValue)"
    }
  }
}

/// The flags word of a ring packet; every bit but the first must be 0.
public struct PacketFlags: OptionSet, Hashable, Sendable {
  /// The 16-bit word at offset 6 of the packet.
  public let rawValue: UInt16

  /// Takes any word.
  @inlinable
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// The receiver owes a completion packet with the same transaction id.
  @inlinable public static var completionRequested: PacketFlags { PacketFlags(rawValue: 1) }
}

/// The packet types that a reader accepts; a packet of another type is a corrupt ring.
public struct PacketTypeSet: OptionSet, Hashable, Sendable {
  /// One bit for each of the types 0 to 15.
  public let rawValue: UInt16

  /// Takes any set of bits.
  @inlinable
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// What a host may send to a guest.
  @inlinable public static var fromHost: PacketTypeSet { PacketTypeSet(rawValue: 1 << 0x6 | 1 << 0x7 | 1 << 0xb) }
  /// What a guest may send to a host.
  @inlinable public static var fromGuest: PacketTypeSet { PacketTypeSet(rawValue: 1 << 0x6 | 1 << 0x9 | 1 << 0xb) }
  /// Both.
  @inlinable public static var all: PacketTypeSet { [.fromHost, .fromGuest] }

  /// Whether `type` belongs to the set.
  @inlinable
  public func accepts(_ type: PacketType) -> Bool {
    type.rawValue < 16 && rawValue & 1 << type.rawValue != 0
  }
}
