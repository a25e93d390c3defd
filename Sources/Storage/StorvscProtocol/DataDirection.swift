/// Which way the data of a SCSI request go, as the guest sees it (Linux: WRITE_TYPE, READ_TYPE, UNKNOWN_TYPE).
public struct DataDirection: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt8

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// From guest to device.
  @inlinable public static var write: DataDirection { DataDirection(rawValue: 0) }
  /// From device to guest.
  @inlinable public static var read: DataDirection { DataDirection(rawValue: 1) }
  /// No data, or not known.
  @inlinable public static var none: DataDirection { DataDirection(rawValue: 2) }
}

extension DataDirection: CustomStringConvertible {
  /// The direction's name, or its number.
  public var description: String {
    switch self {
    case .write: "write"
    case .read: "read"
    case .none: "no data"
    default: "data direction \(rawValue)"
    }
  }
}

/// The flags of a SCSI request (Windows: SRB_FLAGS). A host may ignore all of them.
public struct SRBFlags: OptionSet, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// Flags as they came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The queue tag and action are valid.
  @inlinable public static var queueActionEnable: SRBFlags { SRBFlags(rawValue: 0x0000_0002) }
  /// The target should not disconnect.
  @inlinable public static var disableDisconnect: SRBFlags { SRBFlags(rawValue: 0x0000_0004) }
  /// No synchronous transfer; stock guests always set it.
  @inlinable public static var disableSynchronousTransfer: SRBFlags { SRBFlags(rawValue: 0x0000_0008) }
  /// Pass a frozen queue.
  @inlinable public static var bypassFrozenQueue: SRBFlags { SRBFlags(rawValue: 0x0000_0010) }
  /// Return no sense data.
  @inlinable public static var disableAutosense: SRBFlags { SRBFlags(rawValue: 0x0000_0020) }
  /// Data go to the guest.
  @inlinable public static var dataIn: SRBFlags { SRBFlags(rawValue: 0x0000_0040) }
  /// Data go to the device.
  @inlinable public static var dataOut: SRBFlags { SRBFlags(rawValue: 0x0000_0080) }
  /// Do not freeze the queue on an error.
  @inlinable public static var noQueueFreeze: SRBFlags { SRBFlags(rawValue: 0x0000_0100) }
  /// The adapter may cache.
  @inlinable public static var adapterCacheEnable: SRBFlags { SRBFlags(rawValue: 0x0000_0200) }
  /// The port driver frees the sense buffer.
  @inlinable public static var freeSenseBuffer: SRBFlags { SRBFlags(rawValue: 0x0000_0400) }
  /// Part of a power transition.
  @inlinable public static var d3Processing: SRBFlags { SRBFlags(rawValue: 0x0000_0800) }
  /// Changes the meaning of GET LBA STATUS and UNMAP on Microsoft's disks.
  @inlinable public static var microsoftSpecialBehavior: SRBFlags { SRBFlags(rawValue: 0x0000_8000) }
}
