import WireBytes

/// VERSION_RESPONSE: whether the host speaks the version that INITIATE_CONTACT asked for.
///
/// Its forms are told apart by size alone: 10 bytes, 16 with the selection, 20 with features, 40 with monitor pages.
public struct VersionResponse: Hashable, Sendable {
  /// Whether the host speaks the version; below 2.4 it also says no to every failure.
  public var isSupported: Bool
  /// How the contact ended, when the version is supported.
  public var state: ConnectionState
  /// Below 5.0 the selected version, else the connection id of all later posts; nil in the shortest form.
  public var selection: UInt32?
  /// The features that both sides have; only in answers to a supported version 6.0 or above.
  public var features: FeatureFlags?
  /// The monitor pages that the host has chosen; only with `FeatureFlags.serverMonitorPages`.
  public var monitorPages: MonitorPageAddresses?

  /// An answer as given field by field; monitor pages set their feature flag.
  public init(
    isSupported: Bool, state: ConnectionState = .successful, selection: UInt32? = 0, features: FeatureFlags? = nil,
    monitorPages: MonitorPageAddresses? = nil
  ) {
    self.isSupported = isSupported
    self.state = state
    self.selection = features == nil && monitorPages == nil ? selection : selection ?? 0
    self.features = monitorPages == nil ? features : (features ?? []).union(.serverMonitorPages)
    self.monitorPages = monitorPages
  }

  /// The answer "this version is not supported".
  public static let unsupported = VersionResponse(isSupported: false)

  /// The answer "this version is supported, but the contact failed".
  public static func failed(_ state: ConnectionState = .unknownFailure) -> VersionResponse {
    VersionResponse(isSupported: true, state: state)
  }

  /// The answer "connected"; features are sent at 6.0 and above only.
  public static func accepted(
    _ version: ProtocolVersion, messageConnectionID: UInt32, features: FeatureFlags = [],
    monitorPages: MonitorPageAddresses? = nil
  ) -> VersionResponse {
    VersionResponse(
      isSupported: true, selection: version.carriesTargetInfo ? messageConnectionID : version.rawValue,
      features: version.carriesFeatures ? features : nil,
      monitorPages: version.carriesFeatures ? monitorPages : nil)
  }

  /// The connection id to which a guest that asked for `version` posts from now on.
  public func messageConnectionID(for version: ProtocolVersion) -> UInt32 {
    version.carriesTargetInfo ? selection ?? ConnectionID.message : ConnectionID.legacyMessage
  }
}

extension VersionResponse {
  var byteCount: Int {
    if monitorPages != nil { return 40 }
    if features != nil { return 20 }
    return selection != nil ? 16 : 10
  }

  init(parsing bytes: RawSpan) {
    let has = bytes.byteCount
    let features = has >= 20 ? FeatureFlags(rawValue: bytes.le32(at: 16)) : nil
    let namesPages = has >= 40 && features?.contains(.serverMonitorPages) == true
    self.init(
      isSupported: bytes.byte(at: 8) != 0, state: ConnectionState(rawValue: bytes.byte(at: 9)),
      selection: has >= 16 ? bytes.le32(at: 12) : nil, features: features,
      monitorPages: namesPages ? MonitorPageAddresses(parsing: bytes, at: 24) : nil)
  }

  func store(into bytes: inout MutableRawSpan) {
    bytes.storeLE(UInt8(isSupported ? 1 : 0), at: 8)
    bytes.storeLE(state.rawValue, at: 9)
    let byteCount = self.byteCount
    if byteCount >= 16 { bytes.storeLE(selection ?? 0, at: 12) }
    if byteCount >= 20 {
      let implied: FeatureFlags = monitorPages == nil ? [] : .serverMonitorPages
      bytes.storeLE((features ?? []).union(implied).rawValue, at: 16)
    }
    monitorPages?.store(into: &bytes, at: 24)
  }
}
