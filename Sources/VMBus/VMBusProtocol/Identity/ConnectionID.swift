/// Ports of HvPostMessage and HvSignalEvent; bits 24 to 31 of every id are reserved.
public enum ConnectionID {
  /// Control messages of versions below 5.0.
  public static let legacyMessage: UInt32 = 1
  /// The shared event port of channels without a dedicated interrupt (below 2.4).
  public static let event: UInt32 = 2
  /// The monitor port.
  public static let monitor: UInt32 = 3
  /// INITIATE_CONTACT at 5.0 and above; later posts use the id of VERSION_RESPONSE.
  public static let message: UInt32 = 4
  /// Control messages redirected to VTL 2.
  public static let redirectedMessage: UInt32 = 0x80_0074

  /// The message id that a host may return in VERSION_RESPONSE (OpenVMM's scheme; guests take any id).
  public static func message(vp: UInt32, sint: UInt8 = SynIC.vmbusSINT, vtl: UInt8 = 0) -> UInt32 {
    message | UInt32(vtl) << 22 | vp << 8 | UInt32(sint) << 4
  }

  /// The event id that a host may put into an offer (OpenVMM's scheme; guests take any id).
  public static func channel(relid: UInt32, sint: UInt8 = SynIC.vmbusSINT, vtl: UInt8 = 0) -> UInt32 {
    relid | UInt32(sint) << 12 | UInt32(vtl) << 16
  }

  /// The event port of a channel on the host's side (OpenVMM's scheme).
  public static func eventPort(relid: UInt32, sint: UInt8 = SynIC.vmbusSINT, vtl: UInt8 = 0) -> UInt32 {
    event | UInt32(vtl) << 22 | relid << 8 | UInt32(sint) << 4
  }
}
