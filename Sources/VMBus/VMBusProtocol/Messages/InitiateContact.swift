import WireBytes

/// Guest physical addresses of the two monitor pages; both are given or both are zero.
public struct MonitorPageAddresses: Hashable, Sendable {
  /// The page in which the host triggers (Linux: monitor page 1).
  public var parentToChild: UInt64
  /// The page in which the guest triggers (Linux: monitor page 2).
  public var childToParent: UInt64

  /// The addresses of both pages, in bytes.
  public init(parentToChild: UInt64, childToParent: UInt64) {
    self.parentToChild = parentToChild
    self.childToParent = childToParent
  }

  /// No monitor pages.
  public static let none = MonitorPageAddresses(parentToChild: 0, childToParent: 0)

  /// Whether both pages are given or neither is, and each starts a page; the host refuses anything else.
  public var isConsistent: Bool {
    (parentToChild == 0) == (childToParent == 0) && (parentToChild | childToParent) & 0xfff == 0
  }

  init(parsing bytes: RawSpan, at offset: Int) {
    parentToChild = bytes.le64(at: offset)
    childToParent = bytes.le64(at: offset + 8)
  }

  func store(into bytes: inout MutableRawSpan, at offset: Int) {
    bytes.storeLE(parentToChild, at: offset)
    bytes.storeLE(childToParent, at: offset + 8)
  }
}

/// INITIATE_CONTACT: the guest asks for a connection of one version.
///
/// Fields that the version does not carry have their defaults after parsing.
public struct InitiateContact: Hashable, Sendable {
  /// The version that the guest wants.
  public var version: ProtocolVersion
  /// The VP to which the host sends control messages; honoured at 3.0 and above.
  public var targetVP: UInt32
  /// The guest physical address of the interrupt page; carried below 5.0, used below 2.4.
  public var interruptPage: UInt64
  /// The SINT that the host shall use; carried at 5.0 and above.
  public var sint: UInt8
  /// The VTL whose VMBus the guest wants; carried at 5.1 and above.
  public var vtl: UInt8
  /// What the guest can do; carried at 6.0 and above.
  public var features: FeatureFlags
  /// The monitor pages.
  public var monitorPages: MonitorPageAddresses
  /// The identity of the client; carried at 6.0 and above, exactly if `FeatureFlags.clientID` is set.
  public var clientID: GUID?

  /// A request for contact; a client id sets its feature flag, and without one the flag is cleared.
  public init(
    version: ProtocolVersion, targetVP: UInt32 = 0, interruptPage: UInt64 = 0, sint: UInt8 = SynIC.vmbusSINT,
    vtl: UInt8 = 0, features: FeatureFlags = [], monitorPages: MonitorPageAddresses = .none, clientID: GUID? = nil
  ) {
    self.version = version
    self.targetVP = targetVP
    self.interruptPage = interruptPage
    self.sint = sint
    self.vtl = vtl
    self.features = clientID == nil ? features.subtracting(.clientID) : features.union(.clientID)
    self.monitorPages = monitorPages
    self.clientID = clientID
  }
}

extension InitiateContact {
  static let longByteCount = 56

  var byteCount: Int { version.carriesFeatures && clientID != nil ? InitiateContact.longByteCount : 40 }

  init(parsing bytes: RawSpan) throws(MessageError) {
    let version = ProtocolVersion(rawValue: bytes.le32(at: 8))
    let features: FeatureFlags = version.carriesFeatures ? FeatureFlags(rawValue: bytes.le32(at: 20)) : []
    var clientID: GUID?
    if features.contains(.clientID) {
      guard bytes.byteCount >= InitiateContact.longByteCount else {
        throw .tooShort(type: .initiateContact, needs: InitiateContact.longByteCount, has: bytes.byteCount)
      }
      clientID = GUID(parsing: bytes, at: 40)
    }
    self.init(
      version: version, targetVP: bytes.le32(at: 12),
      interruptPage: version.carriesTargetInfo ? 0 : bytes.le64(at: 16),
      sint: version.carriesTargetInfo ? bytes.byte(at: 16) : SynIC.vmbusSINT,
      vtl: version >= .v5_1 ? bytes.byte(at: 17) : 0, features: features,
      monitorPages: MonitorPageAddresses(parsing: bytes, at: 24), clientID: clientID)
  }

  func store(into bytes: inout MutableRawSpan) {
    bytes.storeLE(version.rawValue, at: 8)
    bytes.storeLE(targetVP, at: 12)
    if version.carriesTargetInfo {
      bytes.storeLE(sint, at: 16)
      bytes.storeLE(version >= .v5_1 ? vtl : 0, at: 17)
    } else {
      bytes.storeLE(interruptPage, at: 16)
    }
    monitorPages.store(into: &bytes, at: 24)
    if version.carriesFeatures {
      bytes.storeLE((clientID == nil ? features.subtracting(.clientID) : features).rawValue, at: 20)
      clientID?.store(into: &bytes, at: 40)
    }
  }
}
