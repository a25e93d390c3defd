import Ethernet
import WireBytes

/// An ARP packet for IPv4 over Ethernet (RFC 826), without the Ethernet header.
struct ARPPacket: Hashable {
  /// 1 request, 2 reply.
  var operation: UInt16
  var senderMAC: MACAddress
  var senderIP: IPv4Address
  var targetMAC: MACAddress
  var targetIP: IPv4Address

  static let byteCount = 28
  static let request: UInt16 = 1
  static let reply: UInt16 = 2

  init(
    operation: UInt16, senderMAC: MACAddress, senderIP: IPv4Address, targetMAC: MACAddress, targetIP: IPv4Address
  ) {
    self.operation = operation
    self.senderMAC = senderMAC
    self.senderIP = senderIP
    self.targetMAC = targetMAC
    self.targetIP = targetIP
  }

  /// Nil for what is too short, or not IPv4 over Ethernet.
  init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= ARPPacket.byteCount, bytes.be64(at: 0) >> 16 == 0x0001_0800_0604 else { return nil }
    operation = bytes.be16(at: 6)
    senderMAC = bytes.macAddress(at: 8)
    senderIP = IPv4Address(value: bytes.be32(at: 14))
    targetMAC = bytes.macAddress(at: 18)
    targetIP = IPv4Address(value: bytes.be32(at: 24))
  }

  func store(into bytes: inout MutableRawSpan, at offset: Int) {
    bytes.storeBE(UInt64(0x0001_0800_0604) << 16 | UInt64(operation), at: offset)
    bytes.storeMAC(senderMAC, at: offset + 8)
    bytes.storeBE(senderIP.value, at: offset + 14)
    bytes.storeMAC(targetMAC, at: offset + 18)
    bytes.storeBE(targetIP.value, at: offset + 24)
  }
}

extension RawSpan {
  /// The Ethernet address at `offset`.
  func macAddress(at offset: Int) -> MACAddress {
    MACAddress(value: UInt64(be16(at: offset)) << 32 | UInt64(be32(at: offset + 2)))
  }
}

extension MutableRawSpan {
  /// Stores an Ethernet address at `offset`.
  @_lifetime(self: copy self)
  mutating func storeMAC(_ address: MACAddress, at offset: Int) {
    storeBE(UInt16(truncatingIfNeeded: address.value >> 32), at: offset)
    storeBE(UInt32(truncatingIfNeeded: address.value), at: offset + 2)
  }

  /// Stores an Ethernet header at the start.
  @_lifetime(self: copy self)
  mutating func storeEthernet(destination: MACAddress, source: MACAddress, type: UInt16) {
    storeMAC(destination, at: 0)
    storeMAC(source, at: 6)
    storeBE(type, at: 12)
  }
}
