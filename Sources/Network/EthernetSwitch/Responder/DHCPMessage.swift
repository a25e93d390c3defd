import Ethernet
import WireBytes

/// A DHCPv4 message (RFC 2131) with the options that a small server looks at (RFC 2132).
struct DHCPMessage: Hashable {
  /// What option 53 says.
  struct Kind: RawRepresentable, Hashable {
    var rawValue: UInt8
    static let discover = Kind(rawValue: 1)
    static let offer = Kind(rawValue: 2)
    static let request = Kind(rawValue: 3)
    static let decline = Kind(rawValue: 4)
    static let ack = Kind(rawValue: 5)
    static let nak = Kind(rawValue: 6)
    static let release = Kind(rawValue: 7)
    static let inform = Kind(rawValue: 8)
  }

  var kind: Kind
  var isReply: Bool
  var transaction: UInt32
  /// Whether the client can take replies only by broadcast.
  var wantsBroadcast: Bool
  /// ciaddr: the address that the client has already.
  var clientAddress = IPv4Address.unspecified
  /// yiaddr: the address that it gets.
  var yourAddress = IPv4Address.unspecified
  /// giaddr: a relay between the two.
  var relayAddress = IPv4Address.unspecified
  /// chaddr.
  var hardwareAddress: MACAddress
  /// Option 50.
  var requestedAddress: IPv4Address?
  /// Option 54.
  var server: IPv4Address?
  /// Option 61, as it is.
  var clientIdentifier: [UInt8]?
  /// Option 1.
  var mask: IPv4Address?
  /// Option 3.
  var router: IPv4Address?
  /// Option 51, in seconds.
  var leaseSeconds: UInt32?

  static let serverPort: UInt16 = 67
  static let clientPort: UInt16 = 68
  /// Where options start.
  private static let optionOffset = 240
  private static let magic: UInt32 = 0x6382_5363
  /// The least size of a message that every client takes (RFC 1542 2.1).
  private static let minimumByteCount = 300

  init(kind: Kind, isReply: Bool, transaction: UInt32, hardwareAddress: MACAddress, wantsBroadcast: Bool = false) {
    self.kind = kind
    self.isReply = isReply
    self.transaction = transaction
    self.hardwareAddress = hardwareAddress
    self.wantsBroadcast = wantsBroadcast
  }

  /// Nil for what is no DHCP message over Ethernet, or has options that are not whole.
  init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= DHCPMessage.optionOffset, bytes.byte(at: 0) == 1 || bytes.byte(at: 0) == 2,
      bytes.be16(at: 1) == 0x0106, bytes.be32(at: 236) == DHCPMessage.magic
    else { return nil }
    isReply = bytes.byte(at: 0) == 2
    transaction = bytes.be32(at: 4)
    wantsBroadcast = bytes.be16(at: 10) & 0x8000 != 0
    clientAddress = IPv4Address(value: bytes.be32(at: 12))
    yourAddress = IPv4Address(value: bytes.be32(at: 16))
    relayAddress = IPv4Address(value: bytes.be32(at: 24))
    hardwareAddress = bytes.macAddress(at: 28)
    kind = Kind(rawValue: 0)
    var offset = DHCPMessage.optionOffset
    while offset < bytes.byteCount {
      let code = bytes.byte(at: offset)
      if code == 255 { break }
      offset += 1
      if code == 0 { continue }
      guard offset < bytes.byteCount else { return nil }
      let count = Int(bytes.byte(at: offset))
      offset += 1
      guard count <= bytes.byteCount - offset else { return nil }
      take(code, bytes.extracting(offset..<(offset + count)))
      offset += count
    }
    guard kind.rawValue != 0 else { return nil }
  }

  private mutating func take(_ code: UInt8, _ value: RawSpan) {
    let address = value.byteCount == 4 ? IPv4Address(value: value.be32(at: 0)) : nil
    switch code {
    case 1: mask = address
    case 3: router = address
    case 50: requestedAddress = address
    case 51: leaseSeconds = address?.value
    case 53: if value.byteCount == 1 { kind = Kind(rawValue: value.byte(at: 0)) }
    case 54: server = address
    case 61: clientIdentifier = value.byteCount >= 2 ? value.array() : nil
    default: break
    }
  }

  /// The message in wire form.
  func encoded() -> [UInt8] {
    var options: [UInt8] = [53, 1, kind.rawValue]
    func append(_ code: UInt8, _ value: UInt32?) {
      guard let value else { return }
      options += [code, 4]
      options += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
    append(54, server?.value)
    append(51, leaseSeconds)
    append(1, mask?.value)
    append(3, router?.value)
    append(50, requestedAddress?.value)
    if let clientIdentifier {
      let part = clientIdentifier.prefix(255)
      options += [61, UInt8(part.count)] + part
    }
    options.append(255)
    return [UInt8](zeroed: max(DHCPMessage.minimumByteCount, DHCPMessage.optionOffset + options.count)) { bytes in
      bytes.storeBE(UInt32(isReply ? 0x0201_0600 : 0x0101_0600), at: 0)
      bytes.storeBE(transaction, at: 4)
      bytes.storeBE(UInt16(wantsBroadcast ? 0x8000 : 0), at: 10)
      bytes.storeBE(clientAddress.value, at: 12)
      bytes.storeBE(yourAddress.value, at: 16)
      bytes.storeBE(relayAddress.value, at: 24)
      bytes.storeMAC(hardwareAddress, at: 28)
      bytes.storeBE(DHCPMessage.magic, at: 236)
      bytes.store(options.rawSpan, at: DHCPMessage.optionOffset)
    }
  }
}
