import WireBytes

/// TL_CONNECT_REQUEST: the guest connects to an hvsock service of the host.
///
/// Success comes as an offer whose instance is `endpoint`, failure as TL_CONNECT_REQUEST_RESULT.
public struct TLConnect: Hashable, Sendable {
  /// The GUID that the guest chose for this connection.
  public var endpoint: GUID
  /// The service id.
  public var service: GUID
  /// The silo of the endpoint; in the long form of 5.2 and above.
  public var silo: GUID?

  /// A request to connect.
  public init(endpoint: GUID, service: GUID, silo: GUID? = nil) {
    self.endpoint = endpoint
    self.service = service
    self.silo = silo
  }
}

extension TLConnect {
  static let longByteCount = 56

  var byteCount: Int { silo == nil ? 40 : TLConnect.longByteCount }

  init(parsing bytes: RawSpan) {
    endpoint = GUID(parsing: bytes, at: 8)
    service = GUID(parsing: bytes, at: 24)
    silo = bytes.byteCount >= TLConnect.longByteCount ? GUID(parsing: bytes, at: 40) : nil
  }

  func store(into bytes: inout MutableRawSpan) {
    endpoint.store(into: &bytes, at: 8)
    service.store(into: &bytes, at: 24)
    silo?.store(into: &bytes, at: 40)
  }
}
