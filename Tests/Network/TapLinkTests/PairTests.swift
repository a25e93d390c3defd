import Ethernet
import LinuxIO
import NetlinkRoute
import NetworkSupport
import TapLink
import Testing

/// Two links in two namespaces that are joined: what goes into one comes out of the other.
final class JoinedLinks {
  let left: TestNamespace
  let right: TestNamespace
  let a: TapPort
  let b: TapPort
  private let joints: [Joint]

  init(mtu: Int? = nil, offloads: OffloadSet = .all, queueCount: Int = 1) throws {
    left = try TestNamespace()
    right = try TestNamespace()
    func open(_ namespace: TestNamespace, _ number: Int) throws -> TapPort {
      try TapPort.open(
        TapOptions(
          name: "syn0", mtu: mtu, queueCount: queueCount, namespace: namespace.name,
          addresses: [IPNetwork(parsing: "10.77.0.\(number)/24"), IPNetwork(parsing: "fd77::\(number)/64")]))
    }
    a = try open(left, 1)
    b = try open(right, 2)
    a.setOffloads(offloads)
    b.setOffloads(offloads)
    let (a, b) = (self.a, self.b)
    joints = try (0..<queueCount).map { _ in try Joint(a, b) }
    #expect(eventually { a.state.hasCarrier && b.state.hasCarrier })
  }

  func end() {
    for joint in joints { joint.end() }
    a.close()
    b.close()
  }
}

@Suite(.serialized) struct PairTests {
  @Test(
    arguments: [
      (nil, .all, 1), (1280, .all, 1), (9000, .all, 1), (1500, [], 1), (9000, .checksum, 1), (1500, .all, 3),
    ] as [(Int?, OffloadSet, Int)])
  func ping(mtu: Int?, offloads: OffloadSet, queueCount: Int) throws {
    let links = try JoinedLinks(mtu: mtu, offloads: offloads, queueCount: queueCount)
    defer { links.end() }
    #expect(links.a.info.mtu == mtu ?? 1500)
    for options in ["-s 56", "-s 1200", "-s 65000 -i 0.01"] {
      try links.left.run("ping -q -c 3 -i 0.05 -W 5 \(options) 10.77.0.2")
      try links.right.run("ping -q -c 3 -i 0.05 -W 5 \(options) fd77::1")
    }
    #expect(links.a.statistics.framesRead > 0 && links.a.statistics.framesWritten > 0)
    #expect(links.a.statistics.malformedFrames == 0 && links.a.statistics.refusedFrames == 0)
    #expect(eventually { links.a.statistics.framesRead == links.b.statistics.framesWritten })
  }

  /// A TCP stream; with segmentation, frames are longer than the MTU.
  @Test(arguments: [.all, [], .checksum] as [OffloadSet])
  func stream(offloads: OffloadSet) throws {
    let links = try JoinedLinks(offloads: offloads)
    defer { links.end() }
    let (left, right) = (try links.left.open(), try links.right.open())
    for address in ["10.77.0.2", "fd77::2"] {
      let before = links.a.statistics
      let bytes = try #require(IPAddress(address)).bytes
      let arrived = try streamBytes(8 << 20, from: left, to: right, address: bytes, port: 5001)
      #expect(arrived == 8 << 20)
      let after = links.a.statistics
      let mean = (after.bytesRead - before.bytesRead) / (after.framesRead - before.framesRead)
      if offloads == .all { #expect(mean > 3000, "\(mean) bytes a frame") } else { #expect(mean <= 1514) }
      #expect(after.malformedFrames == 0 && after.truncatedFrames == 0)
    }
  }

  @Test func offloadsAreWhatEthtoolShows() throws {
    let links = try JoinedLinks(offloads: [])
    defer { links.end() }
    func features() throws -> [String: Bool] {
      var found: [String: Bool] = [:]
      for line in try links.left.run("ethtool -k syn0").split(separator: "\n") {
        let parts = line.split(separator: ":")
        if parts.count == 2 { found[parts[0].filter { $0 != "\t" }] = parts[1].hasPrefix(" on") }
      }
      return found
    }
    let names = ["tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-tcp6-segmentation"]
    for (offloads, wanted) in [
      (.all, [true, true, true]), (.checksum, [true, false, false]), ([.checksum, .tcp4], [true, true, false]),
      (.tcp4, [false, false, false]), ([], [false, false, false]),
    ] as [(OffloadSet, [Bool])] {
      links.a.setOffloads(offloads)
      let found = try features()
      #expect(names.map { found[$0] } == wanted, "\(offloads)")
      #expect(found["tx-tcp-ecn-segmentation"] == false && found["tx-udp-segmentation"] == false)
    }
  }
}
