public import ArgumentParser
public import Ethernet
public import NetlinkRoute
public import SyntheticHost

extension Uplink: ExpressibleByArgument {
  /// The uplink that an argument names.
  public init?(argument: String) { self.init(argument) }
}

extension MACAddress: ExpressibleByArgument {
  /// The address that an argument names.
  public init?(argument: String) { self.init(argument) }
}

extension IPAddress: ExpressibleByArgument {
  /// The address that an argument names.
  public init?(argument: String) { self.init(argument) }
}

extension IPNetwork: ExpressibleByArgument {
  /// The address and prefix length that an argument names.
  public init?(argument: String) {
    guard let network = try? IPNetwork(parsing: argument) else { return nil }
    self = network
  }
}

extension IPRoute: ExpressibleByArgument {
  /// The route that an argument names.
  public init?(argument: String) {
    guard let route = try? IPRoute(parsing: argument) else { return nil }
    self = route
  }

  /// How the route is written as an argument.
  var text: String { gateway.map { "\(destination),\($0)" } ?? "\(destination)" }
}
