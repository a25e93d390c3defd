public import WireBytes

/// A piece of memory that the guest offers as receive or send buffer (SEND_RECV_BUF, SEND_SEND_BUF).
public struct NVSPBuffer: Hashable, BitwiseCopyable, Sendable {
  /// The GPADL of the memory, announced on the primary channel.
  public var gpadl: UInt32
  /// The number by which the buffer is revoked and, for the receive buffer, named in transfer-pages packets.
  public var id: UInt16

  /// The id that every guest gives its receive buffer.
  @inlinable public static var receiveBufferID: UInt16 { 0xcafe }

  /// A buffer as given.
  @inlinable
  public init(gpadl: UInt32, id: UInt16) {
    self.gpadl = gpadl
    self.id = id
  }
}

/// How the host divides the receive buffer; all numbers but the count are bytes.
public struct NVSPReceiveSection: Hashable, BitwiseCopyable, Sendable {
  /// Where the section starts in the buffer; 0 from every host.
  public var offset: UInt32
  /// The size of a sub-allocation.
  public var subAllocationByteCount: UInt32
  /// The number of sub-allocations.
  public var subAllocationCount: UInt32
  /// Where the section ends in the buffer.
  public var endOffset: UInt32

  /// The smallest sub-allocation that a guest takes: an RNDIS packet header with an Ethernet header and some room.
  @inlinable public static var minimumSubAllocationByteCount: UInt32 { 68 }

  /// As many sub-allocations of `subAllocationByteCount` bytes as fit `bufferByteCount`.
  @inlinable
  public init(bufferByteCount: UInt32, subAllocationByteCount: UInt32) {
    precondition(subAllocationByteCount > 0)
    offset = 0
    self.subAllocationByteCount = subAllocationByteCount
    subAllocationCount = bufferByteCount / subAllocationByteCount
    endOffset = subAllocationCount * subAllocationByteCount
  }

  /// Whether a guest with a buffer of `bufferByteCount` bytes can work with the section.
  @inlinable
  public func isUsable(bufferByteCount: Int) -> Bool {
    offset == 0 && subAllocationCount > 0
      && subAllocationByteCount >= NVSPReceiveSection.minimumSubAllocationByteCount
      && UInt64(subAllocationByteCount) * UInt64(subAllocationCount) <= UInt64(max(bufferByteCount, 0))
  }

  @usableFromInline
  init(parsing message: RawSpan, at offset: Int) {
    self.offset = message.le32(at: offset)
    subAllocationByteCount = message.le32(at: offset + 4)
    subAllocationCount = message.le32(at: offset + 8)
    endOffset = message.le32(at: offset + 12)
  }
}

/// What the guest tells about itself (SEND_NDIS_CONFIG).
public struct NVSPConfiguration: Hashable, BitwiseCopyable, Sendable {
  /// The bits of the capabilities.
  public struct Capabilities: OptionSet, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt64

    /// Capabilities as they came over the wire.
    @inlinable
    public init(rawValue: UInt64) {
      self.rawValue = rawValue
    }

    /// Virtual machine queues.
    @inlinable public static var virtualMachineQueue: Capabilities { Capabilities(rawValue: 1) }
    /// TCP chimney; dead.
    @inlinable public static var chimney: Capabilities { Capabilities(rawValue: 2) }
    /// Virtual functions of a physical NIC.
    @inlinable public static var sriov: Capabilities { Capabilities(rawValue: 4) }
    /// 802.1Q tags as per-packet information.
    @inlinable public static var ieee8021Q: Capabilities { Capabilities(rawValue: 8) }
    /// Correlation ids.
    @inlinable public static var correlationID: Capabilities { Capabilities(rawValue: 0x10) }
    /// Teaming; without it Windows does not report changes of the link speed.
    @inlinable public static var teaming: Capabilities { Capabilities(rawValue: 0x20) }
    /// Virtual subnet ids.
    @inlinable public static var virtualSubnetID: Capabilities { Capabilities(rawValue: 0x40) }
    /// Receive segment coalescing, since 6.1.
    @inlinable public static var receiveCoalescing: Capabilities { Capabilities(rawValue: 0x80) }

    /// What a guest without virtual functions says at `version`.
    @inlinable
    public static func synthetic(at version: NVSPVersion) -> Capabilities {
      var result: Capabilities = .ieee8021Q
      if version.hasSubChannels { result.insert(.teaming) }
      if version.hasReceiveCoalescing { result.insert(.receiveCoalescing) }
      return result
    }
  }

  /// The MTU with the 14 bytes of the Ethernet header.
  public var frameByteCount: UInt32
  /// What the guest can do.
  public var capabilities: Capabilities

  /// The frame sizes that a host takes; for others it falls back to the smallest.
  @inlinable public static var frameByteCounts: ClosedRange<UInt32> { 1514...9216 }

  /// A configuration as given.
  @inlinable
  public init(frameByteCount: UInt32, capabilities: Capabilities) {
    self.frameByteCount = frameByteCount
    self.capabilities = capabilities
  }
}

/// RNDIS data or control in the packet that carries this message (SEND_RNDIS_PKT).
public struct NVSPRNDISPacket: Hashable, BitwiseCopyable, Sendable {
  /// What the RNDIS messages are.
  public struct ChannelType: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt32

    /// A type as it came over the wire, known or not.
    @inlinable
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// Data: PACKET messages.
    @inlinable public static var data: ChannelType { ChannelType(rawValue: 0) }
    /// Control: all other messages.
    @inlinable public static var control: ChannelType { ChannelType(rawValue: 1) }
  }

  /// What the RNDIS messages are.
  public var channelType: ChannelType
  /// The section of the send buffer in which the message starts; nil if it is not there.
  public var sectionIndex: UInt32?
  /// The bytes used in the section.
  public var sectionByteCount: UInt32

  /// The value that stands for "no section".
  @inlinable public static var noSection: UInt32 { .max }
  /// The bytes of the fields.
  @inlinable public static var byteCount: Int { 16 }

  /// A message as given.
  @inlinable
  public init(_ channelType: ChannelType, sectionIndex: UInt32? = nil, sectionByteCount: UInt32 = 0) {
    self.channelType = channelType
    self.sectionIndex = sectionIndex
    self.sectionByteCount = sectionByteCount
  }

  /// Parses the message at the start of `message`, whose type must be SEND_RNDIS_PKT.
  @inlinable
  public init(parsing message: RawSpan) throws(NetvscError) {
    try message.require(NVSPRNDISPacket.byteCount)
    let type = message.le32(at: 0)
    guard type == NVSPMessageType.sendRNDISPacket.rawValue else {
      throw .unexpectedType(type, expected: NVSPMessageType.sendRNDISPacket.rawValue)
    }
    channelType = ChannelType(rawValue: message.le32(at: 4))
    let index = message.le32(at: 8)
    sectionIndex = index == NVSPRNDISPacket.noSection ? nil : index
    sectionByteCount = message.le32(at: 12)
  }

  /// Stores the 16 bytes of the fields at `offset`; the padding is the caller's.
  @inlinable
  public func store(into target: inout MutableRawSpan, at offset: Int = 0) {
    target.storeLE(NVSPMessageType.sendRNDISPacket.rawValue, at: offset)
    target.storeLE(channelType.rawValue, at: offset + 4)
    target.storeLE(sectionIndex ?? NVSPRNDISPacket.noSection, at: offset + 8)
    target.storeLE(sectionByteCount, at: offset + 12)
  }

  /// Where the bytes of the section lie in a send buffer; nil if there is no section, or if it does not fit.
  @inlinable
  public func sectionRange(sectionByteCount size: Int, bufferByteCount: Int) -> Range<Int>? {
    guard let sectionIndex, size > 0, sectionByteCount <= size, Int(sectionIndex) < bufferByteCount / size else {
      return nil
    }
    let start = Int(sectionIndex) * size
    return start..<(start + Int(sectionByteCount))
  }
}

/// A virtual function that belongs to the channel (SEND_VF_ASSOCIATION).
public struct NVSPVirtualFunction: Hashable, BitwiseCopyable, Sendable {
  /// Whether the function exists.
  public var isAllocated: Bool
  /// Its serial number.
  public var serial: UInt32

  /// An association as given.
  @inlinable
  public init(isAllocated: Bool, serial: UInt32) {
    self.isAllocated = isAllocated
    self.serial = serial
  }
}

/// Where data go (SWITCH_DATA_PATH).
public struct NVSPDataPath: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A path as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Through the channel.
  @inlinable public static var synthetic: NVSPDataPath { NVSPDataPath(rawValue: 0) }
  /// Through the virtual function.
  @inlinable public static var virtualFunction: NVSPDataPath { NVSPDataPath(rawValue: 1) }
}

/// A request about sub-channels.
public struct NVSPSubChannelRequest: Hashable, BitwiseCopyable, Sendable {
  /// 1 allocates; no other operation is known.
  public var operation: UInt32
  /// How many sub-channels the guest wants.
  public var count: UInt32

  /// The operation "allocate".
  @inlinable public static var allocate: UInt32 { 1 }

  /// A request for `count` sub-channels.
  @inlinable
  public init(operation: UInt32 = allocate, count: UInt32) {
    self.operation = operation
    self.count = count
  }
}
