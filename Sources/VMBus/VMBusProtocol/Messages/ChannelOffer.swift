import WireBytes

/// Properties of an offered channel.
public struct OfferFlags: OptionSet, Hashable, Sendable {
  /// The 16-bit word of the offer.
  public let rawValue: UInt16

  /// Takes any word; unknown bits are kept.
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// The device interface shall be enumerated.
  public static let enumerateDeviceInterface = OfferFlags(rawValue: 0x0001)
  /// The rings must be in encrypted memory (valid only with `FeatureFlags.confidentialChannels`).
  public static let confidentialRing = OfferFlags(rawValue: 0x0002)
  /// All memory given to the host must be encrypted (valid only with `FeatureFlags.confidentialChannels`).
  public static let confidentialExternalMemory = OfferFlags(rawValue: 0x0004)
  /// Memory given to the host must be pinned (valid only with `FeatureFlags.pinning`).
  public static let pinnedExternalMemory = OfferFlags(rawValue: 0x0008)
  /// A pipe channel: packets carry a `PipeHeader`.
  public static let namedPipe = OfferFlags(rawValue: 0x0010)
  /// A loopback offer.
  public static let loopback = OfferFlags(rawValue: 0x0100)
  /// An offer of the parent partition.
  public static let parent = OfferFlags(rawValue: 0x0200)
  /// Monitored notification is asked for; only `ChannelOffer.isMonitorAllocated` decides it.
  public static let requestMonitoredNotification = OfferFlags(rawValue: 0x0400)
  /// An hvsock channel.
  public static let socket = OfferFlags(rawValue: 0x2000)
}

/// OFFER_CHANNEL: the host announces a channel of a device.
public struct ChannelOffer: Hashable, Sendable {
  /// The device class; for hvsock the service id.
  public var interfaceClass: GUID
  /// The device instance, stable across connections; sub-channels share it.
  public var instance: GUID
  /// Properties of the channel.
  public var flags: OfferFlags
  /// The MMIO space that the device wants, in MiB.
  public var mmioMegabytes: UInt16
  /// The MMIO space that the device can use beyond that, in MiB.
  public var optionalMMIOMegabytes: UInt16
  /// 120 bytes for the device; fewer are filled up with zeros, more are cut off.
  public var userDefined: [UInt8]
  /// 0 for the primary channel of the device, else the number of the sub-channel.
  public var subChannelIndex: UInt16
  /// The number of the channel in this connection, 1 to 2047 in practice.
  public var relid: UInt32
  /// The bit of the channel in the monitor page; 0xff when it has none.
  public var monitorID: UInt8
  /// Whether `monitorID` is valid.
  public var isMonitorAllocated: Bool
  /// Whether the channel has an event flag of its own (always at 2.4 and above).
  public var isDedicatedInterrupt: Bool
  /// The connection id with which the guest signals this channel by HvSignalEvent.
  public var connectionID: UInt32

  /// The size of the user-defined area, in bytes.
  public static let userDefinedByteCount = 120
  /// The monitor id of a channel that has none.
  public static let noMonitor: UInt8 = 0xff

  /// An offer of a primary channel with a dedicated interrupt and no monitor unless told otherwise.
  public init(
    interfaceClass: GUID, instance: GUID, flags: OfferFlags = [], mmioMegabytes: UInt16 = 0,
    optionalMMIOMegabytes: UInt16 = 0, userDefined: [UInt8] = [], subChannelIndex: UInt16 = 0, relid: UInt32,
    monitorID: UInt8? = nil, isDedicatedInterrupt: Bool = true, connectionID: UInt32
  ) {
    self.interfaceClass = interfaceClass
    self.instance = instance
    self.flags = flags
    self.mmioMegabytes = mmioMegabytes
    self.optionalMMIOMegabytes = optionalMMIOMegabytes
    self.userDefined = userDefined.fitted(to: ChannelOffer.userDefinedByteCount)
    self.subChannelIndex = subChannelIndex
    self.relid = relid
    self.monitorID = monitorID ?? ChannelOffer.noMonitor
    isMonitorAllocated = monitorID != nil
    self.isDedicatedInterrupt = isDedicatedInterrupt
    self.connectionID = connectionID
  }

  /// The monitor bit by which the guest may signal, or nil when it must use `connectionID`.
  public var monitor: UInt8? {
    isMonitorAllocated && Int(monitorID) < MonitorPage.idCount ? monitorID : nil
  }

  /// Whether this is the primary channel of its device.
  public var isPrimary: Bool { subChannelIndex == 0 }
}

extension ChannelOffer {
  /// Field offsets from the start of the message (Linux `struct vmbus_channel_offer_channel`).
  private enum Offset {
    static let interfaceClass = 8
    static let instance = 24
    static let flags = 56
    static let mmioMegabytes = 58
    static let userDefined = 60
    static let subChannelIndex = 180
    static let optionalMMIOMegabytes = 182
    static let relid = 184
    static let monitorID = 188
    static let monitorAllocated = 189
    static let dedicatedInterrupt = 190
    static let connectionID = 192
  }

  init(parsing bytes: RawSpan) {
    interfaceClass = GUID(parsing: bytes, at: Offset.interfaceClass)
    instance = GUID(parsing: bytes, at: Offset.instance)
    flags = OfferFlags(rawValue: bytes.le16(at: Offset.flags))
    mmioMegabytes = bytes.le16(at: Offset.mmioMegabytes)
    optionalMMIOMegabytes = bytes.le16(at: Offset.optionalMMIOMegabytes)
    userDefined = bytes.array(from: Offset.userDefined, count: ChannelOffer.userDefinedByteCount)
    subChannelIndex = bytes.le16(at: Offset.subChannelIndex)
    relid = bytes.le32(at: Offset.relid)
    monitorID = bytes.byte(at: Offset.monitorID)
    isMonitorAllocated = bytes.byte(at: Offset.monitorAllocated) & 1 != 0
    isDedicatedInterrupt = bytes.byte(at: Offset.dedicatedInterrupt) & 1 != 0
    connectionID = bytes.le32(at: Offset.connectionID)
  }

  func store(into bytes: inout MutableRawSpan) {
    interfaceClass.store(into: &bytes, at: Offset.interfaceClass)
    instance.store(into: &bytes, at: Offset.instance)
    bytes.storeLE(flags.rawValue, at: Offset.flags)
    bytes.storeLE(mmioMegabytes, at: Offset.mmioMegabytes)
    bytes.storeLE(optionalMMIOMegabytes, at: Offset.optionalMMIOMegabytes)
    bytes.store(userDefined.fitted(to: ChannelOffer.userDefinedByteCount).rawSpan, at: Offset.userDefined)
    bytes.storeLE(subChannelIndex, at: Offset.subChannelIndex)
    bytes.storeLE(relid, at: Offset.relid)
    bytes.storeLE(monitorID, at: Offset.monitorID)
    bytes.storeLE(UInt8(isMonitorAllocated ? 1 : 0), at: Offset.monitorAllocated)
    bytes.storeLE(UInt16(isDedicatedInterrupt ? 1 : 0), at: Offset.dedicatedInterrupt)
    bytes.storeLE(connectionID, at: Offset.connectionID)
  }
}

extension [UInt8] {
  /// These bytes, cut or filled up with zeros to `count`.
  func fitted(to count: Int) -> [UInt8] {
    if self.count == count { return self }
    return self.count > count ? Array(prefix(count)) : self + Array(repeating: 0, count: count - self.count)
  }
}
