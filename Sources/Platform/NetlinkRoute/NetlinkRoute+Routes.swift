import LinuxIO
import WireBytes

extension NetlinkRoute {
  /// Adds a route over the link to the main table; fine when it is there already. A route to the same destination with the
  /// same metric over another link is never replaced.
  ///
  /// - Throws: EEXIST when there is another such route, ENETUNREACH or EHOSTUNREACH when the gateway is not on the link,
  ///   ENETDOWN when the link is down.
  public func addRoute(_ route: IPRoute, over index: Int32) throws(NetlinkError) {
    do {
      let request = Self.routeRequest(24, route, index)
      _ = try transact(request, flags: Flags.create | Flags.exclusive, "add route \(route)")
    } catch {
      guard error.errno == .EEXIST else { throw error }
      let isThere = try routes(over: index).contains {
        $0.destination == route.destination && $0.gateway == route.gateway
          && (route.metric == nil || $0.metric == route.metric)
      }
      if !isThere { throw error }
    }
  }

  /// Removes a route over the link; fine when it is not there.
  public func removeRoute(_ route: IPRoute, over index: Int32) throws(NetlinkError) {
    do {
      _ = try transact(Self.routeRequest(25, route, index), "remove route \(route)")
    } catch {
      guard error.errno == .ESRCH else { throw error }
    }
  }

  /// The unicast routes over the link in the main table, those that came with its addresses included.
  public func routes(over index: Int32) throws(NetlinkError) -> [IPRoute] {
    let messages = try transact(NetlinkMessage(type: 26, fixedByteCount: 12), flags: Flags.dump, "list routes")
    return messages.compactMap { $0.type == 24 ? Self.parseRoute($0.payload.rawSpan, index: index) : nil }
  }

  /// rtmsg with the route.
  private static func routeRequest(_ type: UInt16, _ route: IPRoute, _ index: Int32) -> NetlinkMessage {
    let (mainTable, byAdministrator, onLink, unicast): (UInt8, UInt8, UInt8, UInt8) = (254, 4, 253, 1)
    let isIPv6 = route.destination.address.isIPv6
    var request = NetlinkMessage(type: type, fixedByteCount: 12)
    request.set(route.destination.address.family, at: 0)
    request.set(UInt8(route.destination.prefixLength), at: 1)
    request.set(mainTable, at: 4)
    request.set(byAdministrator, at: 5)
    // IPv6 knows no scope of routes.
    request.set(route.gateway == nil && !isIPv6 ? onLink : 0, at: 6)
    request.set(unicast, at: 7)
    if route.destination.prefixLength > 0 { request.append(1, route.destination.address.bytes) }
    request.append(4, UInt32(bitPattern: index))
    if let gateway = route.gateway { request.append(5, gateway.bytes) }
    if let metric = route.metric { request.append(6, metric) }
    return request
  }

  /// The route of RTM_NEWROUTE; nil when it leads over another link, stands in another table or is not whole.
  static func parseRoute(_ bytes: RawSpan, index: Int32) -> IPRoute? {
    guard bytes.byteCount >= 12, bytes.byte(at: 4) == 254, bytes.byte(at: 7) == 1 else { return nil }
    var (destination, gateway): (IPAddress?, IPAddress?)
    var metric: UInt32?
    var output: UInt32 = 0
    forEachAttribute(in: bytes, from: 12) { type, value in
      switch type {
      case 1: destination = IPAddress(bytes: value.array())
      case 4: output = value.attributeNumber
      case 5: gateway = IPAddress(bytes: value.array())
      case 6: metric = value.attributeNumber
      default: break
      }
    }
    let zero = IPAddress(bytes: [UInt8](repeating: 0, count: bytes.byte(at: 0) == 10 ? 16 : 4))
    guard output == UInt32(bitPattern: index), let address = destination ?? zero, address.family == bytes.byte(at: 0),
      let network = IPNetwork(address, prefixLength: Int(bytes.byte(at: 1)))
    else { return nil }
    return IPRoute(to: network, via: gateway, metric: metric)
  }
}
