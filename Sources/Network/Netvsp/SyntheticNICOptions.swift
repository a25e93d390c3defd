public import NetvscProtocol

/// What a NIC offers to its guest.
public struct SyntheticNICOptions: Sendable, Equatable {
  /// The most queues, the primary channel counted; a port that serves fewer lowers it. 1 to 64.
  public var maximumQueueCount = 8
  /// The newest protocol version that is agreed to.
  public var highestVersion = NVSPVersion.v6_1
  /// Nominal speed in bit/s; nil: that of the port.
  public var bitsPerSecond: UInt64?
  /// The name that the guest shows, at most 255 UTF-16 units.
  public var friendlyName = "Network Adapter"
  /// The largest MTU that the guest may use, without the Ethernet header, in bytes: 1500 to 9202.
  public var maximumMTU = 9202
  /// The size of the sections of the send buffer, in bytes: a multiple of 64, 512 to 65536.
  public var sendSectionByteCount = 6144
  /// Whether checksums and large sends of the guest are done by the host.
  public var offersOffloads = true
  /// Whether frames longer than the MTU go to a guest that takes them.
  public var offersCoalescing = true
  /// Whether a guest may spread its flows over several queues.
  public var offersScaling = true

  /// The usual values.
  public init() {}

  /// The values, brought into their ranges.
  var clamped: SyntheticNICOptions {
    var result = self
    result.maximumQueueCount = offersScaling ? min(max(maximumQueueCount, 1), 64) : 1
    result.maximumMTU = min(max(maximumMTU, 1500), 9202)
    result.sendSectionByteCount = min(max(sendSectionByteCount & ~63, 512), 65_536)
    if !highestVersion.isKnown { result.highestVersion = .v6_1 }
    return result
  }
}
