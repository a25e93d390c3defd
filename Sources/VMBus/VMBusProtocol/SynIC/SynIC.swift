/// The synthetic interrupt controller of a virtual processor: layouts that VMBus relies on.
///
/// Source: the Hypervisor Top-Level Functional Specification.
public enum SynIC {
  /// The interrupt source of VMBus.
  public static let vmbusSINT: UInt8 = 2
  /// The number of interrupt sources, each with a message slot and a block of event flags.
  public static let sintCount = 16
  /// How many event flags a source has; flag 0 is unused.
  public static let eventFlagCount = 2048

  /// Where the slot of a source stands in the message page (SIMP), in bytes.
  public static func messageSlotOffset(sint: UInt8 = vmbusSINT) -> Int {
    Int(sint) * MessageSlot.byteCount
  }

  /// Where an event flag stands in the event-flag page (SIEFP): the byte and the bit in it; nil for no such flag.
  public static func eventFlag(_ flag: UInt32, sint: UInt8 = vmbusSINT) -> (byteOffset: Int, mask: UInt8)? {
    guard flag < eventFlagCount, Int(sint) < sintCount else { return nil }
    return (Int(sint) * 256 + Int(flag / 8), 1 << UInt8(flag % 8))
  }
}

/// Model-specific registers of the synthetic interrupt controller.
public enum SynICRegister {
  /// Control; bit 0 enables the controller.
  public static let control: UInt32 = 0x4000_0080
  /// Version.
  public static let version: UInt32 = 0x4000_0081
  /// The event-flag page; bit 0 enables it, bits 12 to 63 are its page number.
  public static let eventFlagPage: UInt32 = 0x4000_0082
  /// The message page; bits as those of `eventFlagPage`.
  public static let messagePage: UInt32 = 0x4000_0083
  /// End of message: lets the hypervisor deliver the next one.
  public static let endOfMessage: UInt32 = 0x4000_0084

  /// An interrupt source: bits 0 to 7 vector, 16 masked, 17 automatic end of interrupt, 18 polling.
  public static func sint(_ number: UInt8) -> UInt32 { 0x4000_0090 + UInt32(number) }
}
