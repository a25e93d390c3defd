/// A monitor page: one trigger bit for each monitored channel, so that a guest signals without a hypercall.
///
/// Offsets in bytes (Linux `struct hv_monitor_page`). The guest triggers in the child-to-parent page.
public enum MonitorPage {
  /// How many monitor ids there are: 4 groups of 32.
  public static let idCount = 128
  /// How many ids share a pending word.
  public static let idsPerGroup = 32
  /// Bits 0 to 3 of this word enable the groups.
  public static let triggerState = 0x000
  /// The first of 4 pairs of words, pending and armed.
  public static let triggerGroups = 0x008
  /// The first of 128 words: when the host looks next.
  public static let nextCheckTimes = 0x040
  /// The first of 128 16-bit words: the latency, in units of 100 ns.
  public static let latencies = 0x240
  /// The first of 128 parameters of 8 bytes: what the host signals.
  public static let parameters = 0x440

  /// The group of a monitor id.
  @inlinable
  public static func group(of id: UInt8) -> Int { Int(id) / idsPerGroup }

  /// The bit of a monitor id in the pending word of its group.
  @inlinable
  public static func bit(of id: UInt8) -> UInt32 { 1 << (UInt32(id) % UInt32(idsPerGroup)) }

  /// Where the pending word of an id stands; the signaller sets the bit atomically.
  @inlinable
  public static func pendingOffset(of id: UInt8) -> Int { triggerGroups + group(of: id) * 8 }

  /// Whether a byte of the page belongs to a pending word.
  public static func isPending(byteOffset: Int) -> Bool {
    let offset = byteOffset - triggerGroups
    return offset >= 0 && offset < idCount / idsPerGroup * 8 && offset % 8 < 4
  }

  /// Where the latency of an id stands.
  public static func latencyOffset(of id: UInt8) -> Int { latencies + Int(id) * 2 }

  /// Where the next check time of an id stands.
  public static func nextCheckOffset(of id: UInt8) -> Int { nextCheckTimes + Int(id) * 4 }

  /// Where the parameter of an id stands.
  public static func parameterOffset(of id: UInt8) -> Int { parameters + Int(id) * 8 }
}

/// What the host signals when it sees the bit of a monitor id.
public struct MonitorParameter: Hashable, Sendable {
  /// The port.
  public var connectionID: UInt32
  /// The flag of the port.
  public var flagNumber: UInt16

  /// The size in the page, in bytes.
  public static let byteCount = 8

  /// A parameter.
  public init(connectionID: UInt32, flagNumber: UInt16 = 0) {
    self.connectionID = connectionID
    self.flagNumber = flagNumber
  }

  /// The 64-bit word of the page, which is also the input of HvSignalEvent.
  public var word: UInt64 { UInt64(connectionID) | UInt64(flagNumber) << 32 }

  /// Reads the 64-bit word of the page.
  public init(word: UInt64) {
    connectionID = UInt32(truncatingIfNeeded: word)
    flagNumber = UInt16(truncatingIfNeeded: word >> 32)
  }
}

/// The interrupt page of versions below 2.4, of which newer guests still set the bits: bit n stands for relid n.
public enum InterruptPage {
  /// The bits that the host sets, in bytes from the start of the page.
  public static let hostToGuest = 0
  /// The bits that the guest sets, in bytes from the start of the page.
  public static let guestToHost = 2048

  /// The byte and the bit of a relid in the guest's half; nil for a relid that has none.
  public static func guestToHostFlag(relid: UInt32) -> (byteOffset: Int, mask: UInt8)? {
    guard relid < 2048 * 8 else { return nil }
    return (guestToHost + Int(relid / 8), 1 << UInt8(relid % 8))
  }
}
