/// What a NIC says about itself (GEN_MAC_OPTIONS).
public struct MACOptions: OptionSet, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// Options as they came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Lookahead data may be copied.
  @inlinable public static var copyLookahead: MACOptions { MACOptions(rawValue: 1) }
  /// Transfers do not pend.
  @inlinable public static var transfersNotPending: MACOptions { MACOptions(rawValue: 4) }
  /// The NIC does not loop frames back.
  @inlinable public static var noLoopback: MACOptions { MACOptions(rawValue: 8) }
  /// 802.1p priority.
  @inlinable public static var ieee8021P: MACOptions { MACOptions(rawValue: 0x40) }
  /// 802.1Q tags.
  @inlinable public static var ieee8021Q: MACOptions { MACOptions(rawValue: 0x200) }
  /// What OpenVMM answers.
  @inlinable public static var standard: MACOptions {
    [.copyLookahead, .transfersNotPending, .noLoopback, .ieee8021P, .ieee8021Q]
  }
}
