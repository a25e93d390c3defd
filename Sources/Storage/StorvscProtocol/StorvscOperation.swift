/// The first word of a vstor packet (Linux: vstor_packet_operation).
public struct StorvscOperation: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// COMPLETE_IO, host to guest: the answer to any request.
  @inlinable public static var completeIO: StorvscOperation { StorvscOperation(rawValue: 0x1) }

  /// REMOVE_DEVICE, host to guest, unsolicited: a device went away.
  @inlinable public static var removeDevice: StorvscOperation { StorvscOperation(rawValue: 0x2) }

  /// EXECUTE_SRB, guest to host: carry out a SCSI request.
  @inlinable public static var executeSRB: StorvscOperation { StorvscOperation(rawValue: 0x3) }

  /// RESET_LUN, guest to host.
  @inlinable public static var resetLUN: StorvscOperation { StorvscOperation(rawValue: 0x4) }

  /// RESET_ADAPTER, guest to host.
  @inlinable public static var resetAdapter: StorvscOperation { StorvscOperation(rawValue: 0x5) }

  /// RESET_BUS, guest to host.
  @inlinable public static var resetBus: StorvscOperation { StorvscOperation(rawValue: 0x6) }

  /// BEGIN_INITIALIZATION, guest to host: the first step on a channel.
  @inlinable public static var beginInitialization: StorvscOperation { StorvscOperation(rawValue: 0x7) }

  /// END_INITIALIZATION, guest to host: I/O may start after the answer.
  @inlinable public static var endInitialization: StorvscOperation { StorvscOperation(rawValue: 0x8) }

  /// QUERY_PROTOCOL_VERSION, guest to host, with a ``VersionBlock``.
  @inlinable public static var queryProtocolVersion: StorvscOperation { StorvscOperation(rawValue: 0x9) }

  /// QUERY_PROPERTIES, guest to host; the answer carries ``ChannelProperties``.
  @inlinable public static var queryProperties: StorvscOperation { StorvscOperation(rawValue: 0xA) }

  /// ENUMERATE_BUS, host to guest, unsolicited: the set of LUNs changed.
  @inlinable public static var enumerateBus: StorvscOperation { StorvscOperation(rawValue: 0xB) }

  /// FCHBA_DATA, guest to host; the answer carries a ``WorldWideNames`` block.
  @inlinable public static var fcHBAData: StorvscOperation { StorvscOperation(rawValue: 0xC) }

  /// CREATE_SUB_CHANNELS, guest to host, with a ``SubChannelCount``.
  @inlinable public static var createSubChannels: StorvscOperation { StorvscOperation(rawValue: 0xD) }

  /// EVENT_NOTIFICATION, host to guest; never seen on a wire.
  @inlinable public static var eventNotification: StorvscOperation { StorvscOperation(rawValue: 0xE) }
}

extension StorvscOperation: CustomStringConvertible {
  /// The standard name, or the number of a value that has none.
  public var description: String {
    switch self {
    case .completeIO: "COMPLETE_IO"
    case .removeDevice: "REMOVE_DEVICE"
    case .executeSRB: "EXECUTE_SRB"
    case .resetLUN: "RESET_LUN"
    case .resetAdapter: "RESET_ADAPTER"
    case .resetBus: "RESET_BUS"
    case .beginInitialization: "BEGIN_INITIALIZATION"
    case .endInitialization: "END_INITIALIZATION"
    case .queryProtocolVersion: "QUERY_PROTOCOL_VERSION"
    case .queryProperties: "QUERY_PROPERTIES"
    case .enumerateBus: "ENUMERATE_BUS"
    case .fcHBAData: "FCHBA_DATA"
    case .createSubChannels: "CREATE_SUB_CHANNELS"
    case .eventNotification: "EVENT_NOTIFICATION"
    default: "vstor operation \(rawValue.hexadecimal(digits: 2))"
    }
  }
}

extension StorvscOperation {
  /// The least bytes after the 12-byte header that a request of this operation must have.
  @inlinable
  public var minimumPayloadByteCount: Int {
    switch self {
    case .executeSRB: SCSIRequest.minimumByteCount
    case .queryProtocolVersion: VersionBlock.byteCount
    case .createSubChannels: SubChannelCount.byteCount
    default: 0
    }
  }
}
