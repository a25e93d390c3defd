import LinuxIO
import Testing
import WireBytes

@testable import NetlinkRoute

@Suite struct MessageTests {
  /// What is written by us is read by us, at the places that linux/rtnetlink.h names.
  @Test func linkMessage() throws {
    var change = LinkChange()
    change.name = "syn0"
    change.mtu = 9000
    change.isUp = true
    change.isPromiscuous = false
    let message = change.message(index: 7)
    #expect(
      message.payload == [
        0, 0, 0, 0, 7, 0, 0, 0,  // family, type, index
        1, 0, 0, 0, 1, 1, 0, 0,  // flags IFF_UP, mask IFF_UP and IFF_PROMISC
        9, 0, 3, 0, 0x73, 0x79, 0x6e, 0x30, 0, 0, 0, 0,  // IFLA_IFNAME, padded
        8, 0, 4, 0, 0x28, 0x23, 0, 0,  // IFLA_MTU
      ])
    let parsed = LinkInfo(parsing: message.payload.rawSpan)
    let link = try #require(parsed)
    #expect(link.index == 7 && link.name == "syn0" && link.mtu == 9000 && link.isUp && !link.isRunning)
  }

  @Test func wordsOfTheKernel() {
    // nlmsghdr (44 bytes, NLM_F_CAPPED and NLM_F_ACK_TLVS), error -22, header of the request, NLMSGERR_ATTR_MSG.
    let head: [UInt8] = [46, 0, 0, 0, 2, 0, 0, 3, 1, 0, 0, 0, 2, 0, 0, 0, 0xea, 0xff, 0xff, 0xff]
    let request: [UInt8] = [32, 0, 0, 0, 16, 0, 5, 0, 1, 0, 0, 0, 2, 0, 0, 0]
    let text: [UInt8] = [10, 0, 1, 0] + Array("wrong".utf8) + [0, 0, 0]
    #expect(extendedAcknowledgement(head + request + text) == "wrong")
    var uncapped = head
    uncapped[7] = 2
    #expect(extendedAcknowledgement(uncapped + request + [UInt8](repeating: 0, count: 16) + text) == "wrong")
    uncapped[7] = 0
    #expect(extendedAcknowledgement(uncapped + request + text) == nil)
  }

  /// Whatever arrives, no parser traps.
  @Test func anyBytes() {
    var generator = SystemRandomNumberGenerator()
    for round in 0..<50_000 {
      var bytes = (0..<Int.random(in: 0...96, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      // Half of them with attributes of plausible lengths.
      if round % 2 == 0 {
        for offset in stride(from: 8, to: bytes.count - 4, by: 4) where Bool.random(using: &generator) {
          bytes[offset] = UInt8.random(in: 0...24, using: &generator)
          bytes[offset + 1] = 0
          bytes[offset + 2] = UInt8.random(in: 0...45, using: &generator)
          bytes[offset + 3] = 0
        }
      }
      if round % 3 == 0, bytes.count > 8 { bytes[0] = [0, 2, 10][round % 9 / 3] }
      _ = LinkInfo(parsing: bytes.rawSpan)
      let index = bytes.count >= 8 ? Int32(bitPattern: bytes.rawSpan.le32(at: 4)) : 1
      _ = NetlinkRoute.parseAddress(bytes.rawSpan, index: index)
      _ = NetlinkRoute.parseRoute(bytes.rawSpan, index: 0)
      _ = extendedAcknowledgement(bytes)
    }
  }
}
