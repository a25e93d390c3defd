import LinuxIO
import NetlinkRoute
import NetworkSupport
import Testing

/// A namespace with one TAP in it.
private struct Workplace {
  let namespace: TestNamespace
  let opened: NetworkNamespace
  let device: TapDevice
  let route: NetlinkRoute
  let index: Int32

  init(_ name: String = "syn0") throws {
    namespace = try TestNamespace()
    opened = try namespace.open()
    device = try opened.run { () -> Result<TapDevice, Errno> in
      do throws(Errno) { return .success(try TapDevice(name, .new, hasCarrier: false)) } catch {
        return .failure(error)
      }
    }.get()
    route = try NetlinkRoute.open(in: opened)
    index = try #require(try route.link(named: name)).index
  }
}

@Suite struct RealLinkTests {
  @Test func changesAreWhatIPShows() throws {
    let place = try Workplace()
    var change = LinkChange()
    change.hardwareAddress = [0x00, 0x15, 0x5d, 0x01, 0x02, 0x03]
    change.mtu = 9000
    change.transmitQueueLength = 777
    change.alias = "the first"
    change.maximumSegmentationByteCount = 62_780
    change.isUp = true
    change.isPromiscuous = true
    try place.route.change(place.index, change)
    try place.device.setCarrier(true)
    let shown = try place.namespace.run("ip -j -d link show dev syn0")
    for text in [
      "\"address\":\"00:15:5d:01:02:03\"", "\"mtu\":9000", "\"txqlen\":777", "\"ifalias\":\"the first\"",
      "\"gso_max_size\":62780", "\"UP\"", "\"LOWER_UP\"", "\"PROMISC\"", "\"promiscuity\":1",
    ] {
      #expect(shown.contains(text), "\(text) in \(shown)")
    }
    let link = try #require(try place.route.link(index: place.index))
    #expect(link.name == "syn0" && link.hardwareAddress == change.hardwareAddress && link.mtu == 9000)
    #expect(link.transmitQueueLength == 777 && link.alias == "the first" && link.isUp && link.isPromiscuous)
    #expect(link.maximumSegmentationByteCount == 62_780 && link.hasCarrier)
    #expect(try place.route.links().map(\.name).sorted() == ["lo", "syn0"])

    var down = LinkChange()
    down.isUp = false
    down.isPromiscuous = false
    down.alias = ""
    try place.route.change(place.index, down)
    down = LinkChange()
    down.name = "syn1"
    try place.route.change(place.index, down)
    #expect(try place.route.link(named: "syn0") == nil)
    let renamed = try #require(try place.route.link(named: "syn1"))
    #expect(!renamed.isUp && !renamed.isPromiscuous && renamed.alias == nil && renamed.index == place.index)
    try place.route.deleteLink(place.index)
    #expect(try place.route.link(index: place.index) == nil)
  }

  @Test func addressesAndRoutes() throws {
    let place = try Workplace()
    let (route, index) = (place.route, place.index)
    var up = LinkChange()
    up.isUp = true
    try route.change(index, up)
    let addresses = try ["10.77.0.2/24", "10.78.0.1/31", "fd00::2/64"].map { try IPNetwork(parsing: $0) }
    for _ in 0..<2 {
      for address in addresses { try route.addAddress(address, to: index) }
    }
    #expect(try Set(addresses).isSubset(of: route.addresses(of: index)))
    let shown = try place.namespace.run("ip -j addr show dev syn0")
    #expect(shown.contains("\"local\":\"10.77.0.2\",\"prefixlen\":24,\"broadcast\":\"10.77.0.255\""), "\(shown)")
    #expect(shown.contains("\"local\":\"fd00::2\",\"prefixlen\":64") && !shown.contains("tentative"), "\(shown)")

    var routes = try ["10.90.0.0/16", "default,10.77.0.1", "10.91.0.0/16,10.77.0.9", "default,fd00::1", "fd09::/64"]
      .map { try IPRoute(parsing: $0) }
    routes.append(IPRoute(defaultVia: try #require(IPAddress("10.77.0.8")), metric: 500))
    for _ in 0..<2 {
      for wanted in routes { try route.addRoute(wanted, over: index) }
    }
    let listed = try route.routes(over: index)
    for wanted in routes {
      #expect(
        listed.contains {
          $0.destination == wanted.destination && $0.gateway == wanted.gateway
            && (wanted.metric == nil || $0.metric == wanted.metric)
        }, "\(wanted) in \(listed)")
    }
    let text = try place.namespace.run("ip route; ip netns exec \(place.namespace.name) ip -6 route")
    #expect(text.contains("default via 10.77.0.1 dev syn0 proto static"), "\(text)")
    #expect(text.contains("10.90.0.0/16 dev syn0 proto static scope link"), "\(text)")
    #expect(text.contains("default via fd00::1 dev syn0"), "\(text)")
    for _ in 0..<2 {
      for wanted in routes { try route.removeRoute(wanted, over: index) }
      for address in addresses { try route.removeAddress(address, from: index) }
    }
    #expect(try route.routes(over: index).allSatisfy { $0.destination.address.isLinkLocal })
    #expect(try route.addresses(of: index).allSatisfy { $0.address.isLinkLocal })
  }

  @Test func errorsHaveTheKernelsWords() throws {
    let place = try Workplace()
    var change = LinkChange()
    change.mtu = 1
    let small = #expect(throws: NetlinkError.self) { try place.route.change(place.index, change) }
    #expect(small?.errno == .EINVAL && small?.detail == "mtu less than device minimum", "\(String(describing: small))")
    change = LinkChange()
    change.name = "lo"
    #expect(throws: NetlinkError.self) { try place.route.change(place.index, change) }
    change = LinkChange()
    change.isUp = true
    try place.route.change(place.index, change)
    let far = try IPRoute(parsing: "default,10.99.0.1")
    let unreachable = #expect(throws: NetlinkError.self) { try place.route.addRoute(far, over: place.index) }
    #expect(unreachable?.errno == .ENETUNREACH && unreachable?.detail == "Nexthop has invalid gateway")
    #expect(unreachable?.description.hasPrefix("add route default via 10.99.0.1: Network is unreachable") == true)
    #expect(throws: NetlinkError.self) { try place.route.deleteLink(99_999) }
    #expect(try place.route.link(named: "a name that is too long") == nil)
    // The socket is of use after all that.
    #expect(try place.route.links().count == 2)
  }

  /// Somebody else's route is never replaced.
  @Test func otherRoutesStay() throws {
    let place = try Workplace()
    try place.namespace.run("ip link add other type veth peer name far")
    try place.namespace.run("ip link set other up")
    try place.namespace.run("ip link set far up")
    try place.namespace.run("ip addr add 10.1.0.1/24 dev other")
    try place.namespace.run("ip route add default via 10.1.0.254")
    try place.namespace.run("ip link set syn0 up")
    try place.route.addAddress(IPNetwork(parsing: "10.77.0.2/24"), to: place.index)
    let taken = #expect(throws: NetlinkError.self) {
      try place.route.addRoute(IPRoute(parsing: "default,10.77.0.1"), over: place.index)
    }
    #expect(taken?.errno == .EEXIST)
    #expect(try place.namespace.run("ip route").contains("default via 10.1.0.254 dev other"))
  }

  @Test func moveToAnotherNamespace() throws {
    let place = try Workplace()
    let other = try TestNamespace()
    let opened = try other.open()
    var change = LinkChange()
    change.namespaceDescriptor = opened.descriptor
    try place.route.change(place.index, change)
    #expect(try place.route.link(named: "syn0") == nil)
    #expect(try NetlinkRoute.open(in: opened).link(named: "syn0") != nil)
  }
}

@Suite struct LinkMonitorTests {
  private func events(_ monitor: LinkMonitor) throws -> [LinkMonitor.Event] {
    var found: [LinkMonitor.Event] = []
    while waitForInput([monitor.descriptor], milliseconds: 200) != 0 { found += try monitor.events() }
    return found
  }

  @Test func whatAnAdministratorDoes() throws {
    let place = try Workplace()
    let monitor = try LinkMonitor.open(index: place.index, in: place.opened, route: place.route)
    func last(_ command: String) throws -> LinkInfo {
      try place.namespace.run(command)
      guard case .changed(let link)? = try events(monitor).last else { throw CommandError() }
      return link
    }
    #expect(try last("ip link set syn0 mtu 1400").mtu == 1400)
    #expect(try last("ip link set syn0 address 02:00:00:00:00:09").hardwareAddress == [2, 0, 0, 0, 0, 9])
    #expect(try last("ip link set syn0 up").isUp)
    #expect(try last("ip link set syn0 promisc on").isPromiscuous)
    #expect(try !last("ip link set syn0 promisc off").isPromiscuous)
    #expect(try !last("ip link set syn0 down").isUp)
    #expect(try last("ip link set syn0 name other").name == "other")
    // A bridge wants all frames; being its port is not the end of a link, nor is the end of the bridge.
    try place.namespace.run("ip link add br0 type bridge")
    #expect(try last("ip link set other master br0").isPromiscuous)
    try place.namespace.run("ip link del br0")
    let after = try events(monitor)
    #expect(!after.contains(.gone))
    guard case .changed(let link)? = after.last else { throw CommandError() }
    #expect(!link.isPromiscuous)
    try place.namespace.run("ip link del other")
    #expect(try events(monitor).last == .gone)
  }

  @Test func lostNewsIsAskedFor() throws {
    let place = try Workplace()
    let monitor = try LinkMonitor.open(index: place.index, in: place.opened, route: place.route)
    // Of a link that is down the kernel does not report all.
    var change = LinkChange()
    change.isUp = true
    try place.route.change(place.index, change)
    change = LinkChange()
    for round in 1...20_000 {
      change.alias = "round \(round)"
      try place.route.change(place.index, change)
    }
    let found = try monitor.events()
    #expect(found.count == 1, "the buffer did not run over")
    guard case .changed(let link)? = found.last else { throw CommandError() }
    #expect(link.alias == "round 20000")
    #expect(try monitor.events() == [])
  }

  private struct CommandError: Error {}
}
