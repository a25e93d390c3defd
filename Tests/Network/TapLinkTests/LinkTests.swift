import Ethernet
import LinuxIO
import NetlinkRoute
import NetworkSupport
import Synchronization
import Testing

@testable import TapLink

@Suite struct LinkTests {
  private func openDescriptors() throws -> Int {
    try command("ls /proc/\(ownProcess())/fd").split(separator: "\n").count
  }

  @Test func linkIsWhatIPShows() throws {
    let namespace = try TestNamespace()
    let address = try #require(MACAddress("00:15:5d:01:02:03"))
    let port = try TapPort.open(
      TapOptions(
        name: "syn0", address: address, mtu: 1400, queueCount: 4, namespace: namespace.name, transmitQueueLength: 321,
        alias: "NIC 0", addresses: [IPNetwork(parsing: "10.77.0.2/24"), IPNetwork(parsing: "fd77::2/64")],
        routes: [
          IPRoute(parsing: "10.90.0.0/16,10.88.0.1"), IPRoute(parsing: "10.88.0.0/16"),
          IPRoute(parsing: "default,10.77.0.1"), IPRoute(parsing: "default,fd77::1"),
        ],
        maximumSegmentationByteCount: 62_780))
    let shown = try namespace.run("ip -j -d link show dev syn0")
    for text in [
      "\"address\":\"00:15:5d:01:02:03\"", "\"mtu\":1400", "\"txqlen\":321", "\"ifalias\":\"NIC 0\"",
      "\"gso_max_size\":62780", "\"UP\"", "\"NO-CARRIER\"", "\"operstate\":\"DOWN\"", "\"type\":\"tap\"",
    ] {
      #expect(shown.contains(text), "\(text) in \(shown)")
    }
    let addresses = try namespace.run("ip -j addr show dev syn0")
    #expect(addresses.contains("10.77.0.2") && addresses.contains("fd77::2"))
    let routes = try namespace.run("sh -c 'ip route; ip -6 route'")
    for text in ["default via 10.77.0.1", "10.90.0.0/16 via 10.88.0.1", "default via fd77::1"] {
      #expect(routes.contains(text), "\(text) in \(routes)")
    }
    #expect(port.info.address == address && port.info.mtu == 1400 && port.info.hasCarrier)
    #expect(port.state.name == "syn0" && port.state.isUp && !port.state.isPromiscuous && !port.state.isGone)

    port.close()
    #expect(try !namespace.run("ip -j link").contains("syn0"))
    #expect(try namespace.run("sh -c 'ip route; ip -6 route'") == "")
    #expect(throws: EthernetError.lost) { try port.makeQueue() }
    #expect(throws: TapError.lost) { try port.setCarrier(true) }
    port.close()
  }

  @Test func carrierFollowsQueuesAndWish() throws {
    let namespace = try TestNamespace()
    let port = try TapPort.open(TapOptions(name: "syn0", queueCount: 2, namespace: namespace.name, hasCarrier: false))
    func shows(_ text: String) throws -> Bool {
      try eventually { try namespace.run("ip -j link show dev syn0").contains(text) }
    }
    let first = try port.makeQueue()
    #expect(try shows("\"operstate\":\"DOWN\"") && !port.state.hasCarrier)
    try port.setCarrier(true)
    #expect(try shows("\"operstate\":\"UP\""))
    #expect(eventually { port.state.hasCarrier })
    let second = try port.makeQueue()
    #expect(throws: EthernetError.busy) { try port.makeQueue() }
    first.close()
    #expect(try shows("\"operstate\":\"UP\""))
    second.close()
    #expect(try shows("\"operstate\":\"DOWN\""))
    // A queue that was given back is there for the next one.
    let third = try port.makeQueue()
    #expect(try shows("\"operstate\":\"UP\""))
    try port.setCarrier(false)
    #expect(try shows("\"operstate\":\"DOWN\""))
    // The attaching of queues is no flapping of the carrier: down at first, up, down, up, down.
    let changes = try namespace.run("cat /sys/class/net/syn0/carrier_changes")
    #expect(Int(changes.filter(\.isNumber)) ?? 0 <= 6, "\(changes)")
    third.close()
  }

  @Test func administratorsChangesAreTold() throws {
    let namespace = try TestNamespace()
    let port = try TapPort.open(TapOptions(name: "syn0", namespace: namespace.name))
    let told = Mutex<[LinkState]>([])
    let infos = Atomic<Int>(0)
    port.observeLink { state in told.withLock { $0.append(state) } }
    port.observe { infos.add(1, ordering: .relaxed) }
    func last(_ command: String, _ condition: (LinkState) -> Bool) throws -> Bool {
      try namespace.run(command)
      return eventually(seconds: 3) { told.withLock { $0.last.map(condition) ?? false } }
    }
    #expect(try last("ip link set syn0 mtu 1300") { $0.mtu == 1300 })
    #expect(port.info.mtu == 1300)
    #expect(try last("ip link set syn0 address 02:00:00:00:00:77") { $0.address == MACAddress("02:00:00:00:00:77") })
    #expect(try last("ip link set syn0 promisc on") { $0.isPromiscuous })
    #expect(try last("ip link set syn0 promisc off") { !$0.isPromiscuous })
    #expect(try last("ip link set syn0 down") { !$0.isUp })
    #expect(!port.info.hasCarrier)
    #expect(try last("ip link set syn0 name syn7") { $0.name == "syn7" })
    #expect(try last("ip link set syn7 up") { $0.isUp })
    let queue = try port.makeQueue()
    #expect(eventually { told.withLock { $0.last?.hasCarrier } == true })
    #expect(infos.load(ordering: .relaxed) >= 8)
    // Our own changes show, too.
    try port.setMTU(1500)
    #expect(port.state.mtu == 1500)
    #expect(try last("ip link del syn7") { $0.isGone })
    // The queue learns of it by itself.
    #expect(waitForInput([queue.readinessDescriptor], milliseconds: 3000) != 0)
    #expect(try queue.forward(to: CollectingSink(), limit: 1).frameCount == 0)
    #expect(queue.isEnded && queue.prepareToWait(forRoom: false))
    #expect(throws: TapError.lost) { try port.setMTU(1400) }
    queue.close()
    port.close()
  }

  @Test func nothingIsLeft() throws {
    let namespace = try TestNamespace()
    var before = 0
    for round in 0..<6 {
      do {
        let port = try TapPort.open(TapOptions(name: "syn0", queueCount: 3, namespace: namespace.name))
        let queue = try port.makeQueue()
        if round % 3 == 1 { port.close() }
        if round % 3 == 2 { queue.close() }
      }
      // The descriptors of the first round tell what other tests have open; those may end meanwhile.
      #expect(try !namespace.run("ip -j link").contains("syn0"))
      if round == 0 { before = try openDescriptors() }
    }
    #expect(before > 0)
  }

  @Test func errorsSayWhatIsWrong() throws {
    let namespace = try TestNamespace()
    let taken = try TapPort.open(TapOptions(name: "syn0", namespace: namespace.name))
    func failure(_ change: (inout TapOptions) throws -> Void) throws -> TapError? {
      var options = TapOptions(
        name: "syn1", namespace: namespace.name, addresses: [try IPNetwork(parsing: "10.77.0.2/24")])
      try change(&options)
      let error = #expect(throws: TapError.self) { try TapPort.open(options) }
      // Nothing is left of what has failed.
      #expect(try !namespace.run("ip -j link").contains("syn1"))
      return error
    }
    #expect(try failure { $0.name = "syn0" } == .nameTaken("syn0"))
    #expect(try failure { $0.name = "lo" } == .nameTaken("lo"))
    for name in ["", "a/b", "a b", "a:b", "..", "syn%d", "sixteen-letters-"] {
      guard case .invalidName? = try failure({ $0.name = name }) else {
        Issue.record("\(name) was taken")
        continue
      }
    }
    #expect(try failure { $0.namespace = "no-such" } == .namespaceMissing("no-such"))
    #expect(try failure { $0.mtu = 60 } == .invalidMTU(60))
    #expect(try failure { $0.mtu = 100_000 } == .invalidMTU(100_000))
    let group = try #require(MACAddress("01:00:00:00:00:01"))
    #expect(try failure { $0.address = group } == .invalidHardwareAddress(group))
    let far = try IPRoute(parsing: "default,10.99.0.1")
    #expect(try failure { $0.routes = [far] } == .unreachableGateway(far))
    #expect("\(TapError.unreachableGateway(far))".contains("Network is unreachable"))
    let far6 = try IPRoute(parsing: "default,fd99::1")
    #expect(try failure { $0.routes = [far6] } == .unreachableGateway(far6))
    for text in ["224.0.0.1/24", "0.0.0.0/0", "ff02::1/64", "::/64"] {
      guard case .invalidAddress? = try failure({ $0.addresses = [try IPNetwork(parsing: text)] }) else {
        Issue.record("\(text) was taken")
        continue
      }
    }
    taken.close()
  }

  @Test func errnosSayWhatIsWrong() {
    #expect(TapError(making: "syn0", .ENOENT) == .noTunDevice)
    #expect("\(TapError(making: "syn0", .ENOENT))".contains("/dev/net/tun"))
    #expect(TapError(making: "syn0", .EPERM) == .notPermitted("make the link syn0"))
    #expect("\(TapError(making: "syn0", .EACCES))".contains("CAP_NET_ADMIN"))
    #expect(TapError(NetlinkError(operation: "change link 3", errno: .EPERM)) == .notPermitted("change link 3"))
  }
}
