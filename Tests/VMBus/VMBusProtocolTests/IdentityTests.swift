import TestVectors
import Testing
import VMBusProtocol
import WireBytes

@Suite struct IdentityTests {
  @Test func deviceClassesHaveTheirWireBytes() {
    for (guid, text, wire) in deviceClasses {
      #expect(GUID(text) == guid)
      #expect(GUID(text.uppercased()) == guid)
      #expect(GUID("{\(text)}") == guid)
      #expect(guid.description == text)
      #expect(guid.className != nil)
      let bytes = [UInt8](zeroed: 17) { guid.store(into: &$0, at: 1) }
      let digits = bytes[1...].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      #expect(digits == wire)
      #expect(GUID(bytes, at: 1) == guid)
    }
    #expect(Set(deviceClasses.compactMap(\.0.className)).count == deviceClasses.count)
    #expect(GUID.zero.className == nil)
    #expect(GUID.socketService(port: 1024).description == "00000400-facb-11e6-bd58-64006a7986d3")
    #expect(GUID.socketService(port: 1024).className == "hvsock port 1024")
  }

  @Test(arguments: [
    "", "{}", "{", "ba6163d9-04a1-4d29-b605-72e2ffb1dc7", "ba6163d9-04a1-4d29-b605-72e2ffb1dc7g",
    "ba6163d904a14d29b60572e2ffb1dc7f", "ba6163d9-04a1-4d29-b605-+2e2ffb1dc7f", "ba6163d9-04a1-4d29-b605",
    "ba6163d9-04a1-4d29--b60572e2ffb1dc7f", "{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f",
  ]) func malformedTextIsNoGUID(text: String) {
    #expect(GUID(text) == nil)
  }

  @Test func guidsOrderAsTheirText() {
    let guids = deviceClasses.map(\.0)
    #expect(guids.sorted().map(\.description) == guids.map(\.description).sorted())
  }

  /// B12.
  @Test func versionWords() {
    func word(_ version: ProtocolVersion) -> [UInt8] {
      [UInt8](zeroed: 4) { $0.storeLE(version.rawValue, at: 0) }
    }
    #expect(word(.v5_3) == hex("03 00 05 00"))
    #expect(word(.v0_13) == hex("0d 00 00 00"))
    #expect(word(.v2_4) == hex("04 00 02 00"))
    #expect(ProtocolVersion.offered.map(\.description) == ["5.3", "5.2", "5.1", "5.0", "4.1", "4.0", "3.0", "2.4"])
    #expect(ProtocolVersion.known == ProtocolVersion.known.sorted())
    #expect(ProtocolVersion.v5_0.contactConnectionID == 4 && ProtocolVersion.v4_1.contactConnectionID == 1)
  }

  /// B7.
  @Test func connectionIDs() {
    #expect(ConnectionID.channel(relid: 5) == 0x2005)
    #expect(ConnectionID.message(vp: 3) == 0x324)
    #expect(ConnectionID.eventPort(relid: 5) == 0x522)
    #expect(ConnectionID.redirectedMessage == ConnectionID.message(vp: 0, sint: 7, vtl: 2))
  }
}
