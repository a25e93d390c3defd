import Ethernet
import NetvscProtocol
import TestVectors
import Testing
import WireBytes

@Suite struct EthernetTests {
  @Test func addresses() throws {
    let address = MACAddress(value: 0x0015_5d0a_0b0c)
    #expect("\(address)" == "00:15:5d:0a:0b:0c")
    for text in ["00:15:5d:0a:0b:0c", "00-15-5D-0A-0B-0C", "00155d0a0b0C"] {
      #expect(MACAddress(text) == address)
    }
    for text in ["", "00:15:5d:0a:0b", "00:15:5d:0a:0b:0c:", "00:15-5d:0a:0b:0c", "00155d0a0b0g", "0:015:5d:0a:0b:0c"] {
      #expect(MACAddress(text) == nil, "\(text)")
    }
    #expect((0..<6).map { address[$0] } == [0, 0x15, 0x5d, 0x0a, 0x0b, 0x0c])
    #expect(address.isUsable && !address.isMulticast && !MACAddress.zero.isUsable && !MACAddress.broadcast.isUsable)
    #expect(MACAddress.broadcast.isMulticast && MACAddress(value: 0x0200_0000_0001).isLocallyAdministered)
    #expect(MACAddress(value: .max) == .broadcast)
    let bytes = encoded {
      address.store(into: &$0)
      return 6
    }
    #expect(bytes == hex("00155d0a 0b0c"))
    #expect(try MACAddress(parsing: bytes) == address)
    let short = Array(bytes.dropLast())
    #expect(throws: NetvscError.tooShort(byteCount: 5, needed: 6)) { try MACAddress(parsing: short) }
  }
}
