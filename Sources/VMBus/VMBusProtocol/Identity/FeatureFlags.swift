/// Optional parts of protocol 6.0 and above; the connection uses what both sides name.
public struct FeatureFlags: OptionSet, Hashable, Sendable {
  /// The 32-bit word of INITIATE_CONTACT and VERSION_RESPONSE.
  public let rawValue: UInt32

  /// Takes any word; unknown bits are kept.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The guest picks connection id and event flag in the long OPEN_CHANNEL.
  public static let guestSignalParameters = FeatureFlags(rawValue: 0x01)
  /// The redirect bit of the long OPEN_CHANNEL is valid.
  public static let interruptRedirection = FeatureFlags(rawValue: 0x02)
  /// MODIFY_CONNECTION and its answer.
  public static let modifyConnection = FeatureFlags(rawValue: 0x04)
  /// INITIATE_CONTACT carries a client GUID.
  public static let clientID = FeatureFlags(rawValue: 0x08)
  /// The confidential flags of an offer are meaningful.
  public static let confidentialChannels = FeatureFlags(rawValue: 0x10)
  /// PAUSE, PAUSE_RESPONSE and RESUME.
  public static let pauseResume = FeatureFlags(rawValue: 0x20)
  /// VERSION_RESPONSE names the monitor pages.
  public static let serverMonitorPages = FeatureFlags(rawValue: 0x40)
  /// The pinning flag of an offer is meaningful.
  public static let pinning = FeatureFlags(rawValue: 0x80)

  /// Whether OPEN_CHANNEL has its long form.
  public var usesLongOpen: Bool { !isDisjoint(with: [.guestSignalParameters, .interruptRedirection]) }
}
