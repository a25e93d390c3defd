/// A route over one link.
public struct IPRoute: Hashable, Sendable, CustomStringConvertible {
  /// Where it leads: a network.
  public let destination: IPNetwork
  /// The next hop, of the same family; nil when the destination is on the link.
  public let gateway: IPAddress?
  /// Which of several routes to the same destination is preferred: the lower; nil for the kernel's default.
  public var metric: UInt32?

  /// A route as given; nil when the destination has bits behind its prefix, or the gateway is of another family.
  public init?(to destination: IPNetwork, via gateway: IPAddress? = nil, metric: UInt32? = nil) {
    guard destination.isNetwork, gateway.map({ $0.isIPv6 == destination.address.isIPv6 }) ?? true else { return nil }
    self.destination = destination
    self.gateway = gateway
    self.metric = metric
  }

  /// The default route of the gateway's family.
  public init(defaultVia gateway: IPAddress, metric: UInt32? = nil) {
    let zero = IPAddress(bytes: [UInt8](repeating: 0, count: gateway.bytes.count))!
    destination = IPNetwork(zero, prefixLength: 0)!
    self.gateway = gateway
    self.metric = metric
  }

  /// Parses `NETWORK[,GATEWAY]`; NETWORK may be `default` where a gateway tells the family.
  ///
  /// - Throws: what is wrong with the text.
  public init(parsing text: some StringProtocol) throws(IPTextError) {
    let parts = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
    var gateway: IPAddress?
    if parts.count == 2 {
      gateway = IPAddress(parts[1])
      guard gateway != nil else { throw IPTextError(text, "`\(parts[1])` is not an IP address; write NETWORK,GATEWAY") }
    }
    if parts[0] == "default" {
      guard let gateway else { throw IPTextError(text, "a default route needs a gateway: default,10.77.0.1") }
      self.init(defaultVia: gateway)
      return
    }
    let destination = try IPNetwork(parsing: parts[0])
    guard destination.isNetwork else {
      throw IPTextError(text, "\(destination) is an address in a network; the network is \(destination.network)")
    }
    guard let route = IPRoute(to: destination, via: gateway) else {
      throw IPTextError(text, "network and gateway must both be IPv4 or both IPv6")
    }
    self = route
  }

  /// `DESTINATION via GATEWAY`.
  public var description: String {
    let name = destination.prefixLength == 0 ? "default" : "\(destination)"
    return name + (gateway.map { " via \($0)" } ?? "")
  }
}
