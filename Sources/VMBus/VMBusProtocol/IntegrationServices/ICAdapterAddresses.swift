import WireBytes

/// The addresses of a network adapter of the guest. On the wire each list is one text, its elements separated by `;`.
public struct ICAdapterAddresses: Hashable, Sendable {
  /// A family of addresses.
  public struct Family: RawRepresentable, Hashable, Sendable {
    /// The byte of the body.
    public let rawValue: UInt8

    /// Takes any byte.
    public init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// None in particular.
    public static let any = Family(rawValue: 0)
    /// IPv4.
    public static let ipv4 = Family(rawValue: 1)
    /// IPv6.
    public static let ipv6 = Family(rawValue: 2)
  }

  /// Which adapter; Linux guests compare it with the MAC address in upper case, like `00:15:5D:00:00:01`.
  public var adapter: String
  /// The family that is meant.
  public var family: Family
  /// Whether the addresses come by DHCP.
  public var isDHCPEnabled: Bool
  /// IP addresses.
  public var addresses: [String]
  /// Their masks.
  public var masks: [String]
  /// Gateways.
  public var gateways: [String]
  /// Name servers.
  public var nameServers: [String]

  /// The addresses of an adapter; none by default, as in a question.
  public init(
    adapter: String, family: Family = .any, isDHCPEnabled: Bool = false, addresses: [String] = [],
    masks: [String] = [], gateways: [String] = [], nameServers: [String] = []
  ) {
    self.adapter = adapter
    self.family = family
    self.isDHCPEnabled = isDHCPEnabled
    self.addresses = addresses
    self.masks = masks
    self.gateways = gateways
    self.nameServers = nameServers
  }

  private static let adapterByteCount = 256
  private static let addressByteCount = 2048
  private static let gatewayByteCount = 1024

  /// The size of all fields, in bytes.
  static let byteCount = adapterByteCount + 2 + 3 * addressByteCount + gatewayByteCount

  init(parsing bytes: RawSpan, at offset: Int) {
    adapter = Self.text(bytes, offset, Self.adapterByteCount)
    let flags = offset + Self.adapterByteCount
    family = Family(rawValue: bytes.byte(at: flags))
    isDHCPEnabled = bytes.byte(at: flags + 1) != 0
    let lists = flags + 2
    addresses = Self.list(bytes, lists, Self.addressByteCount)
    masks = Self.list(bytes, lists + Self.addressByteCount, Self.addressByteCount)
    gateways = Self.list(bytes, lists + 2 * Self.addressByteCount, Self.gatewayByteCount)
    nameServers = Self.list(
      bytes, lists + 2 * Self.addressByteCount + Self.gatewayByteCount, Self.addressByteCount)
  }

  func store(into bytes: inout MutableRawSpan, at offset: Int) {
    _ = bytes.storeUTF16(adapter, at: offset, space: Self.adapterByteCount)
    let flags = offset + Self.adapterByteCount
    bytes.storeLE(family.rawValue, at: flags)
    bytes.storeLE(UInt8(isDHCPEnabled ? 1 : 0), at: flags + 1)
    var place = flags + 2
    for (list, space) in [
      (addresses, Self.addressByteCount), (masks, Self.addressByteCount), (gateways, Self.gatewayByteCount),
      (nameServers, Self.addressByteCount),
    ] {
      _ = bytes.storeUTF16(list.joined(separator: ";"), at: place, space: space)
      place += space
    }
  }

  /// The text in a whole field: it ends at its first zero or with the field.
  private static func text(_ bytes: RawSpan, _ offset: Int, _ space: Int) -> String {
    // A length that is the even space itself is never refused.
    (try? bytes.utf16(at: offset, byteCount: space, space: space)) ?? ""
  }

  private static func list(_ bytes: RawSpan, _ offset: Int, _ space: Int) -> [String] {
    text(bytes, offset, space).split(separator: ";").map(String.init)
  }
}
