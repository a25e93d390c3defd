import WireBytes

/// What the kernel says about a link.
public struct LinkInfo: Hashable, Sendable {
  /// Its number in its namespace.
  public var index: Int32
  /// Its name.
  public var name = ""
  /// Its hardware address; 6 bytes for Ethernet.
  public var hardwareAddress: [UInt8] = []
  /// The longest payload of a frame, in bytes.
  public var mtu = 0
  /// Whether the administrator has it up (IFF_UP).
  public var isUp: Bool
  /// Whether it can move packets: up and with carrier (IFF_RUNNING).
  public var isRunning: Bool
  /// Whether the medium is connected.
  public var hasCarrier = false
  /// How many users want to see all frames, the kernel's own (a bridge, a capture) included.
  public var promiscuity: UInt32 = 0
  /// Whether it shows only frames of its own: nobody wants all.
  public var isPromiscuous: Bool { promiscuity > 0 }
  /// How many packets wait at most before they are dropped.
  public var transmitQueueLength: UInt32 = 0
  /// The administrator's description.
  public var alias: String?
  /// RFC 2863 state (IF_OPER_): 0 unknown, 2 down, 3 lower layer down, 5 dormant, 6 up.
  public var operationalState: UInt8 = 0
  /// The longest packet that is given to it to be cut, in bytes; 0 when the kernel does not tell.
  public var maximumSegmentationByteCount: UInt32 = 0

  /// Parses the payload of RTM_NEWLINK or RTM_DELLINK (ifinfomsg and attributes); nil when it is too short or speaks of a
  /// bridge's port (family other than unspecified).
  init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= 16, bytes.byte(at: 0) == 0 else { return nil }
    index = Int32(bitPattern: bytes.le32(at: 4))
    let flags = bytes.le32(at: 8)
    isUp = flags & 0x1 != 0
    isRunning = flags & 0x40 != 0
    var found = self
    forEachAttribute(in: bytes, from: 16) { type, value in
      switch type {
      case 1: found.hardwareAddress = value.array()
      case 3: found.name = value.attributeText
      case 4: found.mtu = Int(value.attributeNumber)
      case 13: found.transmitQueueLength = value.attributeNumber
      case 16: found.operationalState = UInt8(truncatingIfNeeded: value.attributeNumber)
      case 20: found.alias = value.attributeText
      case 30: found.promiscuity = value.attributeNumber
      case 33: found.hasCarrier = value.attributeNumber != 0
      case 41: found.maximumSegmentationByteCount = value.attributeNumber
      default: break
      }
    }
    self = found
  }
}

/// What is to be changed about a link; nil leaves it alone.
public struct LinkChange: Hashable, Sendable {
  /// A new name, at most 15 bytes; the link must be down on older kernels.
  public var name: String?
  /// A new hardware address.
  public var hardwareAddress: [UInt8]?
  /// A new MTU, in bytes.
  public var mtu: Int?
  /// How many packets may wait.
  public var transmitQueueLength: UInt32?
  /// A new description, at most 255 bytes; empty removes it.
  public var alias: String?
  /// Up or down.
  public var isUp: Bool?
  /// Whether the administrator wants to see all frames.
  public var isPromiscuous: Bool?
  /// The longest packet to be cut, in bytes (IFLA_GSO_MAX_SIZE).
  public var maximumSegmentationByteCount: UInt32?
  /// A descriptor of the network namespace that the link moves to; it loses its addresses and goes down.
  public var namespaceDescriptor: Int32?

  /// No change.
  public init() {}

  /// The request for the link `index`.
  func message(index: Int32) -> NetlinkMessage {
    // RTM_NEWLINK without NLM_F_CREATE; ifinfomsg.
    var message = NetlinkMessage(type: 16, fixedByteCount: 16)
    message.set(index, at: 4)
    var (flags, mask): (UInt32, UInt32) = (0, 0)
    func flag(_ bit: UInt32, _ isSet: Bool?) {
      guard let isSet else { return }
      mask |= bit
      if isSet { flags |= bit }
    }
    flag(0x1, isUp)
    flag(0x100, isPromiscuous)
    message.set(flags, at: 8)
    message.set(mask, at: 12)
    if let hardwareAddress { message.append(1, hardwareAddress) }
    if let name { message.append(3, name) }
    if let mtu { message.append(4, UInt32(clamping: mtu)) }
    if let transmitQueueLength { message.append(13, transmitQueueLength) }
    if let alias { message.append(20, Array(alias.utf8)) }
    if let namespaceDescriptor { message.append(28, UInt32(bitPattern: namespaceDescriptor)) }
    if let maximumSegmentationByteCount { message.append(41, maximumSegmentationByteCount) }
    return message
  }
}
