import NetlinkRoute
import Testing

@Suite struct IPTextTests {
  @Test(
    arguments: [
      ("10.77.0.2/24", "10.77.0.2/24", "10.77.0.0/24", "10.77.0.255"),
      ("10.77.0.2", "10.77.0.2/32", "10.77.0.2/32", nil),
      ("192.168.255.129/23", "192.168.255.129/23", "192.168.254.0/23", "192.168.255.255"),
      ("1.2.3.4/0", "1.2.3.4/0", "0.0.0.0/0", "255.255.255.255"),
      ("10.0.0.1/31", "10.0.0.1/31", "10.0.0.0/31", nil),
      ("fd00:0:0::2/64", "fd00::2/64", "fd00::/64", nil),
      ("FD00::ffff/121", "fd00::ffff/121", "fd00::ff80/121", nil),
      ("::1", "::1/128", "::1/128", nil),
    ] as [(String, String, String, String?)])
  func networks(text: String, name: String, network: String, broadcast: String?) throws {
    let parsed = try IPNetwork(parsing: text)
    #expect(parsed.description == name)
    #expect(parsed.network.description == network)
    #expect(parsed.broadcast?.description == broadcast)
    #expect(parsed.network.contains(parsed.address))
  }

  @Test(arguments: [
    "", "/", "10.77.0.2/", "10.77.0.2/33", "10.77.0.2/-1", "10.77.0.2/+1", "10.77.0.2/24/1", "10.77.0/24",
    "fd00::2/129",
    "fd00:::2", "fe80::1%eth0", "a", "10.77.0.2 /24", "010.0.0.1/8", "1.2.3.4\0/8", "10.77.0.2/1x", "10.77.0.2/300",
  ])
  func wrongNetworks(text: String) {
    #expect(throws: IPTextError.self) { try IPNetwork(parsing: text) }
  }

  @Test func whatAddressesAre() throws {
    func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
    #expect(try address("127.1.2.3").isLoopback && address("::1").isLoopback && !address("::2").isLoopback)
    #expect(try address("224.0.0.1").isMulticast && address("ff02::1").isMulticast && !address("1.1.1.1").isMulticast)
    #expect(try address("169.254.1.1").isLinkLocal && address("fe80::1").isLinkLocal && !address("fd00::1").isLinkLocal)
    #expect(try address("0.0.0.0").isUnspecified && address("::").isUnspecified && !address("::1").isUnspecified)
    #expect(try !IPNetwork(parsing: "10.0.0.0/8").contains(address("::1")))
    #expect(try !IPNetwork(parsing: "10.0.0.0/8").contains(address("11.0.0.1")))
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.0/8,10.77.0.1", "10.0.0.0/8 via 10.77.0.1"),
    ("default,10.77.0.1", "default via 10.77.0.1"), ("default,fd00::1", "default via fd00::1"),
    ("fd01::/64,fd00::1", "fd01::/64 via fd00::1"), ("10.1.2.3,10.77.0.1", "10.1.2.3/32 via 10.77.0.1"),
  ])
  func routes(text: String, name: String) throws {
    #expect(try IPRoute(parsing: text).description == name)
  }

  @Test(arguments: [
    "default", "default,", "10.0.0.1/8", "10.0.0.0/8,fd00::1", "fd01::/64,10.0.0.1", "10.0.0.0/8,x", "", ",10.0.0.1",
  ])
  func wrongRoutes(text: String) {
    #expect(throws: IPTextError.self) { try IPRoute(parsing: text) }
  }

  @Test func anyText() {
    var generator = SystemRandomNumberGenerator()
    let letters = Array("0123456789abcdef.:/,%- \0")
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...24, using: &generator)
      let text = String((0..<count).map { _ in letters.randomElement(using: &generator)! })
      if let network = try? IPNetwork(parsing: text) {
        #expect((try? IPNetwork(parsing: network.description)) == network, "\(text)")
      }
      _ = try? IPRoute(parsing: text)
    }
  }
}
