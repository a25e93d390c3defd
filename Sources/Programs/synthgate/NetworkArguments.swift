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

extension IPNetwork {
  /// The address and prefix length that an argument names.
  ///
  /// - Throws: what is wrong with it.
  static func argument(_ text: String) throws -> IPNetwork {
    do { return try IPNetwork(parsing: text) } catch { throw ValidationError(error.problem) }
  }
}

extension IPRoute {
  /// The route that an argument names.
  ///
  /// - Throws: what is wrong with it.
  static func argument(_ text: String) throws -> IPRoute {
    do { return try IPRoute(parsing: text) } catch { throw ValidationError(error.problem) }
  }

  /// How the route is written as an argument.
  var text: String { gateway.map { "\(destination),\($0)" } ?? "\(destination)" }
}
