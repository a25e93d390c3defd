import WireBytes

/// The hypercalls that VMBus uses.
public enum HypercallCode {
  /// HvPostMessage.
  public static let postMessage: UInt16 = 0x5c
  /// HvSignalEvent.
  public static let signalEvent: UInt16 = 0x5d
}

/// The result of a hypercall.
public struct HypercallStatus: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The 16-bit status.
  public let rawValue: UInt16

  /// Takes any status.
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// Done.
  public static let success = HypercallStatus(rawValue: 0)
  /// The code is not known.
  public static let invalidCode = HypercallStatus(rawValue: 2)
  /// The input is malformed.
  public static let invalidInput = HypercallStatus(rawValue: 3)
  /// A parameter is wrong.
  public static let invalidParameter = HypercallStatus(rawValue: 5)
  /// The partition lacks the privilege.
  public static let accessDenied = HypercallStatus(rawValue: 6)
  /// Not now, not so.
  public static let operationDenied = HypercallStatus(rawValue: 8)
  /// The hypervisor lacks memory; try again.
  public static let insufficientMemory = HypercallStatus(rawValue: 0x0b)
  /// No such port; for INITIATE_CONTACT it means that the host does not know the version.
  public static let invalidConnectionID = HypercallStatus(rawValue: 0x12)
  /// All 16 buffers of the port are full; try again.
  public static let insufficientBuffers = HypercallStatus(rawValue: 0x13)

  /// The name, or the number.
  public var description: String {
    switch self {
    case .success: "success"
    case .invalidCode: "invalid hypercall code"
    case .invalidInput: "invalid hypercall input"
    case .invalidParameter: "invalid parameter"
    case .accessDenied: "access denied"
    case .operationDenied: "operation denied"
    case .insufficientMemory: "insufficient memory"
    case .invalidConnectionID: "invalid connection id"
    case .insufficientBuffers: "insufficient buffers"
    default: "hypercall status \(rawValue)"
    }
  }
}

/// The input of HvPostMessage: a control message and the port to which it goes.
public struct PostMessageInput: Hashable, Sendable {
  /// The port; only the low 24 bits count.
  public var connectionID: UInt32
  /// The kind of message; VMBus uses `SynICMessageType.vmbus`.
  public var type: SynICMessageType
  /// The message, at most 240 bytes.
  public var payload: [UInt8]

  /// The size of the input, in bytes.
  public static let byteCount = 256
  /// Where the payload starts, in bytes.
  public static let payloadOffset = 16

  /// A post of `payload`.
  public init(connectionID: UInt32, type: SynICMessageType = .vmbus, payload: [UInt8]) {
    self.connectionID = connectionID
    self.type = type
    self.payload = payload
  }

  /// Reads the input; nil when it is not 256 bytes long or its payload size exceeds 240: the hypercall then fails with
  /// `HypercallStatus.invalidParameter`.
  public init?(parsing bytes: RawSpan) {
    guard bytes.byteCount == PostMessageInput.byteCount, bytes.le32(at: 12) <= Message.maximumByteCount else {
      return nil
    }
    connectionID = bytes.le32(at: 0) & 0xff_ffff
    type = SynICMessageType(rawValue: bytes.le32(at: 8))
    payload = bytes.array(from: PostMessageInput.payloadOffset, count: Int(bytes.le32(at: 12)))
  }

  /// The 256 bytes of the input; traps when the payload exceeds 240 bytes.
  public func encoded() -> [UInt8] {
    precondition(payload.count <= Message.maximumByteCount)
    return [UInt8](zeroed: PostMessageInput.byteCount) { bytes in
      bytes.storeLE(connectionID, at: 0)
      bytes.storeLE(type.rawValue, at: 8)
      bytes.storeLE(UInt32(payload.count), at: 12)
      bytes.store(payload.rawSpan, at: PostMessageInput.payloadOffset)
    }
  }
}

/// The 8-byte input of HvSignalEvent, mostly passed in a register.
public struct SignalEventInput: RawRepresentable, Hashable, Sendable {
  /// The register value.
  public let rawValue: UInt64

  /// Takes any register value.
  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// A signal to a port; channel connections use flag 0.
  public init(connectionID: UInt32, flagNumber: UInt16 = 0) {
    rawValue = UInt64(connectionID) | UInt64(flagNumber) << 32
  }

  /// The port.
  public var connectionID: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
  /// The flag, relative to the base flag of the port.
  public var flagNumber: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 32) }
}
