import WireBytes

/// How a pipe channel delimits its data.
public struct PipeType: RawRepresentable, Hashable, Sendable {
  /// The 32-bit word at the start of the user-defined area.
  public let rawValue: UInt32

  /// Takes any word.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// A stream of bytes.
  public static let byteStream = PipeType(rawValue: 0)
  /// Messages, one a packet.
  public static let message = PipeType(rawValue: 4)
}

/// What the user-defined area of an hvsock offer says.
public struct SocketOffer: Hashable, Sendable {
  /// Whether the host connects in and the guest must accept (else the offer answers a connect of the guest).
  public var isGuestAccept: Bool
  /// Whether the connection is for a container.
  public var isForContainer: Bool
  /// The version of these parameters: 0 before Windows 10 RS5, else 1.
  public var version: UInt32
  /// The silo of the endpoint (version 1).
  public var silo: GUID

  /// Parameters of an hvsock offer.
  public init(isGuestAccept: Bool, isForContainer: Bool = false, version: UInt32 = 1, silo: GUID = .zero) {
    self.isGuestAccept = isGuestAccept
    self.isForContainer = isForContainer
    self.version = version
    self.silo = silo
  }

  /// The user-defined area that says so; the pipe is a byte stream.
  public var userDefined: [UInt8] {
    [UInt8](zeroed: ChannelOffer.userDefinedByteCount) { bytes in
      bytes.storeLE(UInt8(isGuestAccept ? 1 : 0), at: 4)
      bytes.storeLE(UInt8(isForContainer ? 1 : 0), at: 5)
      // The two last fields stand unaligned, as the host packs them.
      bytes.storeLE(version, at: 6)
      silo.store(into: &bytes, at: 10)
    }
  }
}

extension ChannelOffer {
  /// The kind of pipe, when the flags say that the channel is one.
  public var pipeType: PipeType? {
    guard flags.contains(.namedPipe), userDefined.count >= 4 else { return nil }
    return PipeType(rawValue: userDefined.rawSpan.le32(at: 0))
  }

  /// The hvsock parameters, when the flags say that the channel is a socket.
  public var socket: SocketOffer? {
    guard flags.contains(.socket), userDefined.count >= 26 else { return nil }
    let bytes = userDefined.rawSpan
    return SocketOffer(
      isGuestAccept: bytes.byte(at: 4) != 0, isForContainer: bytes.byte(at: 5) != 0, version: bytes.le32(at: 6),
      silo: GUID(parsing: bytes, at: 10))
  }
}
