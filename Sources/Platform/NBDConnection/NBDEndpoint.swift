/// Where an NBD server is, and which of its exports is wanted.
public struct NBDEndpoint: Sendable, Equatable {
  /// How the server is reached.
  public enum Transport: Sendable, Equatable {
    /// A Unix stream socket.
    case unix(path: String)
    /// TCP; `host` is a name or an address.
    case tcp(host: String, port: UInt16)
  }

  /// Whether the connection is encrypted, and by what both ends know each other.
  public enum Security: Sendable, Equatable {
    /// No encryption; a server that demands it is refused.
    case plain
    /// TLS with the certificates in a directory, nil for the places where libnbd looks; a server that offers none is
    /// refused.
    case certificates(directory: String?)
    /// TLS with the key of the user in this file; a server that offers none is refused.
    case sharedKey(file: String)
  }

  /// How the server is reached.
  public var transport: Transport
  /// Name of the export; empty for the default one.
  public var exportName: String
  /// Whether the connection is encrypted.
  public var security = Security.plain
  /// The user name for a shared key; nil for that of the process.
  public var user: String?

  /// An endpoint without encryption.
  public init(_ transport: Transport, exportName: String = "") {
    self.transport = transport
    self.exportName = exportName
  }
}

/// What an export is and can do, as the server has told.
public struct NBDExport: Sendable, Equatable {
  /// Length in bytes; any number.
  public var byteCount: UInt64 = 0
  /// Offsets and lengths of requests are to be multiples of it, in bytes; 0 when the server did not tell.
  public var minimumBlockByteCount: UInt64 = 0
  /// The length of a request that suits the server, in bytes; 0 when it did not tell.
  public var preferredBlockByteCount: UInt64 = 0
  /// The longest read or write in bytes; 0 when the server did not tell.
  public var maximumPayloadByteCount: UInt64 = 0
  /// Whether it may not be written.
  public var isReadOnly = false
  /// Whether it can be flushed.
  public var canFlush = false
  /// Whether a single write can be durable.
  public var canForceUnitAccess = false
  /// Whether ranges can be given up.
  public var canTrim = false
  /// Whether zeros can be written without sending them.
  public var canZero = false
  /// Whether a flush of one connection covers what others have written.
  public var canMultiConnection = false
  /// Whether holes can be told (`base:allocation`).
  public var canBlockStatus = false
  /// Whether seeking costs time.
  public var isRotational = false
  /// Whether the connection is encrypted.
  public var isEncrypted = false

  /// An export of nothing.
  public init() {}
}
