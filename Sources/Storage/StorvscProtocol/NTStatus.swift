/// The status word of a vstor packet: an NTSTATUS value. Zero is success; guests test only that while they connect.
public struct NTStatus: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Success.
  @inlinable public static var success: NTStatus { NTStatus(rawValue: 0x0000_0000) }

  /// Buffer overflow.
  @inlinable public static var bufferOverflow: NTStatus { NTStatus(rawValue: 0x8000_0005) }

  /// Device busy.
  @inlinable public static var deviceBusy: NTStatus { NTStatus(rawValue: 0x8000_0011) }

  /// Unsuccessful.
  @inlinable public static var unsuccessful: NTStatus { NTStatus(rawValue: 0xC000_0001) }

  /// Invalid parameter.
  @inlinable public static var invalidParameter: NTStatus { NTStatus(rawValue: 0xC000_000D) }

  /// Invalid device request.
  @inlinable public static var invalidDeviceRequest: NTStatus { NTStatus(rawValue: 0xC000_0010) }

  /// Revision mismatch.
  @inlinable public static var revisionMismatch: NTStatus { NTStatus(rawValue: 0xC000_0059) }

  /// Device not connected.
  @inlinable public static var deviceNotConnected: NTStatus { NTStatus(rawValue: 0xC000_009D) }

  /// I/O timeout.
  @inlinable public static var ioTimeout: NTStatus { NTStatus(rawValue: 0xC000_00B5) }

  /// Device does not exist.
  @inlinable public static var deviceDoesNotExist: NTStatus { NTStatus(rawValue: 0xC000_00C0) }

  /// Cancelled.
  @inlinable public static var cancelled: NTStatus { NTStatus(rawValue: 0xC000_0120) }

  /// Invalid device state.
  @inlinable public static var invalidDeviceState: NTStatus { NTStatus(rawValue: 0xC000_0184) }

  /// I/O device error.
  @inlinable public static var ioDeviceError: NTStatus { NTStatus(rawValue: 0xC000_0185) }
}

extension NTStatus: CustomStringConvertible {
  /// The standard name, or the number of a value that has none.
  public var description: String {
    switch self {
    case .success: "success"
    case .bufferOverflow: "buffer overflow"
    case .deviceBusy: "device busy"
    case .unsuccessful: "unsuccessful"
    case .invalidParameter: "invalid parameter"
    case .invalidDeviceRequest: "invalid device request"
    case .revisionMismatch: "revision mismatch"
    case .deviceNotConnected: "device not connected"
    case .ioTimeout: "I/O timeout"
    case .deviceDoesNotExist: "device does not exist"
    case .cancelled: "cancelled"
    case .invalidDeviceState: "invalid device state"
    case .ioDeviceError: "I/O device error"
    default: "NTSTATUS \(rawValue.hexadecimal(digits: 8))"
    }
  }
}
