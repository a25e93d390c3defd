import NetvscProtocol
import TestVectors
import Testing
import WireBytes

/// The vectors of the public verification suite for receive-side scaling.
@Suite struct ToeplitzHashTests {
  let hash = ToeplitzHash(key: ToeplitzHash.linuxKey)!

  private func address(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32) -> UInt32 { a << 24 | b << 16 | c << 8 | d }

  private func address6(_ groups: [UInt16]) -> UInt128 { groups.reduce(0) { $0 << 16 | UInt128($1) } }

  @Test func ipv4() {
    let source = address(66, 9, 149, 187)
    let destination = address(161, 142, 100, 80)
    #expect(hash.hash(source: source, destination: destination, ports: (2794, 1766)) == 0x51cc_c178)
    #expect(hash.hash(source: source, destination: destination) == 0x323e_8fc2)
    let (guest, peer) = (address(10, 77, 0, 2), address(10, 77, 0, 1))
    let forth = hash.hash(source: guest, destination: peer, ports: (40000, 5201))
    #expect(forth == 0xb813_2958 && forth % 128 == 88)
    #expect(hash.hash(source: peer, destination: guest, ports: (5201, 40000)) == 0x5285_a943)
  }

  @Test func ipv6() {
    let source = address6([0x3ffe, 0x2501, 0x200, 0x1fff, 0, 0, 0, 7])
    let destination = address6([0x3ffe, 0x2501, 0x200, 3, 0, 0, 0, 1])
    #expect(hash.hash(source: source, destination: destination, ports: (2794, 1766)) == 0x4020_7d3d)
    #expect(hash.hash(source: source, destination: destination) == 0x2cc1_8cd5)
  }

  @Test func keysOfOtherSizes() {
    #expect(ToeplitzHash(key: Array(ToeplitzHash.linuxKey.dropLast())) == nil)
    #expect(ToeplitzHash(key: ToeplitzHash.linuxKey + [0]) == nil)
  }

  @Test func frames() throws {
    var frame = Array(NetvscVectors.g35[60...])
    let hashed = hash.hash(of: frame, types: .standard)!
    #expect(hashed.value == 0xb813_2958 && hashed.info == [.toeplitz, .tcp4])
    let addresses = hash.hash(source: address(10, 77, 0, 2), destination: address(10, 77, 0, 1))
    #expect(hash.hash(of: frame, types: [.toeplitz, .ip4])?.value == addresses)
    #expect(hash.hash(of: frame, types: [.toeplitz, .tcp6]) == nil)
    // A fragment, and UDP that was not asked for, go by addresses.
    frame[20] = 0x20
    #expect(hash.hash(of: frame, types: .standard)?.value == addresses)
    frame[20] = 0
    frame[23] = 17
    #expect(hash.hash(of: frame, types: .standard)?.info == [.toeplitz, .ip4])
    #expect(hash.hash(of: frame, types: [.toeplitz, .ip4, .udp4])?.value == 0xb813_2958)
    #expect(hash.hash(of: Array(NetvscVectors.g34[44...]), types: .standard) == nil)
    let six = OffloadTests.frame6(payload: 8)
    #expect(hash.hash(of: six, types: .standard)?.info == [.toeplitz, .tcp6])
  }
}
