public import WireBytes

/// The first word of an NDIS object (Windows: NDIS_OBJECT_HEADER).
public struct NDISObjectHeader: Hashable, BitwiseCopyable, Sendable {
  /// The kind of object.
  public var type: UInt8
  /// Its revision, from 1.
  public var revision: UInt8
  /// Its size, in bytes; some guests count what follows it, some do not.
  public var byteCount: UInt16

  /// Default objects, as the link state.
  @inlinable public static var defaultType: UInt8 { 0x80 }
  /// Receive-side-scaling capabilities.
  @inlinable public static var rssCapabilitiesType: UInt8 { 0x88 }
  /// Receive-side-scaling parameters.
  @inlinable public static var rssParametersType: UInt8 { 0x89 }
  /// The request of OID_QUERY_EX.
  @inlinable public static var oidRequestType: UInt8 { 0x96 }
  /// Offload capabilities.
  @inlinable public static var offloadType: UInt8 { 0xa7 }
  /// The size of the header, in bytes.
  @inlinable public static var byteCount: Int { 4 }

  /// A header as given.
  @inlinable
  public init(type: UInt8, revision: UInt8, byteCount: UInt16) {
    self.type = type
    self.revision = revision
    self.byteCount = byteCount
  }

  /// Parses the 4 bytes at the start of `object`.
  @inlinable
  public init(parsing object: RawSpan) throws(NetvscError) {
    try object.require(4)
    self.init(parsing: object, at: 0)
  }

  @inlinable
  init(parsing object: RawSpan, at offset: Int) {
    type = object.byte(at: offset)
    revision = object.byte(at: offset + 1)
    byteCount = object.le16(at: offset + 2)
  }

  /// Stores the 4 bytes at `offset`.
  @inlinable
  public func store(into target: inout MutableRawSpan, at offset: Int = 0) {
    target.storeLE(type, at: offset)
    target.storeLE(revision, at: offset + 1)
    target.storeLE(byteCount, at: offset + 2)
  }

  /// Throws unless the object is of `type`, has a revision, and says at least `minimum` bytes.
  @inlinable
  func require(type: UInt8, minimum: Int = 4) throws(NetvscError) {
    guard self.type == type, revision > 0, Int(byteCount) >= minimum else {
      throw .object(type: self.type, revision: revision, byteCount: byteCount)
    }
  }
}
