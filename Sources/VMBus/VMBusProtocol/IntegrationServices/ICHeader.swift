import WireBytes

/// A version of the integration services framework or of one service.
public struct ICVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The major number.
  public var major: UInt16
  /// The minor number.
  public var minor: UInt16

  /// The version `major.minor`.
  public init(_ major: UInt16, _ minor: UInt16) {
    self.major = major
    self.minor = minor
  }

  init(parsing bytes: RawSpan, at offset: Int) {
    self.init(bytes.le16(at: offset), bytes.le16(at: offset + 2))
  }

  func store(into bytes: inout MutableRawSpan, at offset: Int) {
    bytes.storeLE(major, at: offset)
    bytes.storeLE(minor, at: offset + 2)
  }

  /// Older before newer.
  public static func < (left: ICVersion, right: ICVersion) -> Bool {
    (left.major, left.minor) < (right.major, right.minor)
  }

  /// `major.minor`.
  public var description: String { "\(major).\(minor)" }
}

/// The service or the step that an integration services message belongs to.
public struct ICMessageType: RawRepresentable, Hashable, Sendable {
  /// The 16-bit word of the header.
  public let rawValue: UInt16

  /// Takes any word.
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// Agree on versions.
  public static let negotiate = ICMessageType(rawValue: 0)
  /// Heartbeat.
  public static let heartbeat = ICMessageType(rawValue: 1)
  /// Key-value pairs.
  public static let keyValuePair = ICMessageType(rawValue: 2)
  /// Shutdown.
  public static let shutdown = ICMessageType(rawValue: 3)
  /// Time synchronization.
  public static let timeSync = ICMessageType(rawValue: 4)
  /// Backup (VSS).
  public static let backup = ICMessageType(rawValue: 5)
  /// Remote desktop.
  public static let remoteDesktop = ICMessageType(rawValue: 6)
  /// File copy.
  public static let guestInterface = ICMessageType(rawValue: 7)
}

/// The outcome of an integration services request.
public struct ICStatus: RawRepresentable, Hashable, Sendable {
  /// The 32-bit word of the header.
  public let rawValue: UInt32

  /// Takes any word.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Done.
  public static let success = ICStatus(rawValue: 0)
  /// Failed, without a reason.
  public static let failure = ICStatus(rawValue: 0x8000_4005)
  /// Not supported.
  public static let notSupported = ICStatus(rawValue: 0x8007_0032)
  /// The end of an enumeration.
  public static let noMoreItems = ICStatus(rawValue: 0x8007_0103)
  /// Nothing has this GUID.
  public static let guidNotFound = ICStatus(rawValue: 0x8004_1002)
  /// A field is wrong.
  public static let invalidArgument = ICStatus(rawValue: 0x8007_0057)
}

/// What an integration services message is.
public struct ICFlags: OptionSet, Hashable, Sendable {
  /// The byte of the header.
  public let rawValue: UInt8

  /// Takes any byte.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// An answer is wanted.
  public static let transaction = ICFlags(rawValue: 1)
  /// A request.
  public static let request = ICFlags(rawValue: 2)
  /// An answer.
  public static let response = ICFlags(rawValue: 4)
}

/// Why a payload is no integration services message.
public enum ICError: Error, Equatable, Sendable {
  /// The pipe header is not one of data.
  case pipe(PacketError)
  /// Fewer bytes than the structure of `type`, or than its own sizes say.
  case tooShort(ICMessageType?, needs: Int, has: Int)
  /// An operation of a key-value pair message that is not known.
  case operation(UInt8)
  /// A text of an odd length, or one that is longer than its space.
  case text(byteCount: Int, space: Int)
}

/// The header of an integration services message: 20 bytes after the pipe header.
public struct ICHeader: Hashable, Sendable {
  /// The framework version; 0.0 while negotiating.
  public var framework: ICVersion
  /// The service or step.
  public var type: ICMessageType
  /// The version of the service; 0.0 while negotiating.
  public var messageVersion: ICVersion
  /// The size of the body, in bytes.
  public var bodyByteCount: UInt16
  /// The outcome; 0 in requests.
  public var status: ICStatus
  /// Repeated by the answer.
  public var transactionID: UInt8
  /// Request or answer.
  public var flags: ICFlags

  /// Where the header stands in the ring payload, in bytes.
  public static let offset = PipeHeader.byteCount
  /// Where the body starts in the ring payload, in bytes.
  public static let bodyOffset = PipeHeader.byteCount + 20

  /// A header as given field by field.
  public init(
    framework: ICVersion, type: ICMessageType, messageVersion: ICVersion, bodyByteCount: UInt16,
    status: ICStatus = .success, transactionID: UInt8, flags: ICFlags
  ) {
    self.framework = framework
    self.type = type
    self.messageVersion = messageVersion
    self.bodyByteCount = bodyByteCount
    self.status = status
    self.transactionID = transactionID
    self.flags = flags
  }

  /// Reads pipe header and header of a ring payload, and checks that the body is there.
  public init(parsing payload: RawSpan) throws(ICError) {
    let pipe: PipeHeader
    do throws(PacketError) {
      pipe = try PipeHeader(parsing: payload)
    } catch {
      throw .pipe(error)
    }
    guard pipe.type == .data else { throw .pipe(.pipeType(pipe.type)) }
    let has = PipeHeader.byteCount + pipe.totalByteCount
    guard has >= ICHeader.bodyOffset else { throw .tooShort(nil, needs: ICHeader.bodyOffset, has: has) }
    framework = ICVersion(parsing: payload, at: 8)
    type = ICMessageType(rawValue: payload.le16(at: 12))
    messageVersion = ICVersion(parsing: payload, at: 14)
    bodyByteCount = payload.le16(at: 18)
    status = ICStatus(rawValue: payload.le32(at: 20))
    transactionID = payload.byte(at: 24)
    flags = ICFlags(rawValue: payload.byte(at: 25))
    let needs = ICHeader.bodyOffset + Int(bodyByteCount)
    guard has >= needs else { throw .tooShort(type, needs: needs, has: has) }
  }

  /// Writes the header at its place in a ring payload, without the pipe header.
  public func store(into payload: inout MutableRawSpan) {
    framework.store(into: &payload, at: 8)
    payload.storeLE(type.rawValue, at: 12)
    messageVersion.store(into: &payload, at: 14)
    payload.storeLE(bodyByteCount, at: 18)
    payload.storeLE(status.rawValue, at: 20)
    payload.storeLE(transactionID, at: 24)
    payload.storeLE(flags.rawValue, at: 25)
    payload.storeLE(UInt16(0), at: 26)
  }

  /// The header of the answer to this request.
  public func reply(status: ICStatus = .success) -> ICHeader {
    var header = self
    header.status = status
    header.flags = [.transaction, .response]
    return header
  }

  /// A whole ring payload: pipe header, this header with the size of the body, and the body that `fill` writes.
  func payload(bodyByteCount: Int, fill: (inout MutableRawSpan) -> Void) -> [UInt8] {
    var header = self
    header.bodyByteCount = UInt16(bodyByteCount)
    return [UInt8](zeroed: ICHeader.bodyOffset + bodyByteCount) { bytes in
      PipeHeader.data(byteCount: bytes.byteCount - PipeHeader.byteCount).store(into: &bytes)
      header.store(into: &bytes)
      fill(&bytes)
    }
  }
}
