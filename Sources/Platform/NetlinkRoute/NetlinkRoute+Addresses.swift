import LinuxIO
import WireBytes

extension NetlinkRoute {
  /// Gives the link an address; fine when it has it already. An IPv6 address can be used at once: whether somebody else has
  /// it is not asked (IFA_F_NODAD).
  ///
  /// - Throws: EADDRNOTAVAIL or EINVAL for an address that no interface can have, EACCES where IPv6 is off.
  public func addAddress(_ address: IPNetwork, to index: Int32) throws(NetlinkError) {
    var request = Self.addressRequest(20, address, index)
    if let broadcast = address.broadcast { request.append(4, broadcast.bytes) }
    if address.address.isIPv6 {
      let noDuplicateDetection: UInt32 = 0x02
      request.append(8, noDuplicateDetection)
    }
    _ = try transact(request, flags: Flags.create | Flags.replace, "add address \(address)")
  }

  /// Takes an address away; fine when the link does not have it.
  public func removeAddress(_ address: IPNetwork, from index: Int32) throws(NetlinkError) {
    do {
      _ = try transact(Self.addressRequest(21, address, index), "remove address \(address)")
    } catch {
      guard error.errno == .EADDRNOTAVAIL else { throw error }
    }
  }

  /// The addresses of the link, those that the kernel chose included.
  public func addresses(of index: Int32) throws(NetlinkError) -> [IPNetwork] {
    let messages = try transact(NetlinkMessage(type: 22, fixedByteCount: 8), flags: Flags.dump, "list addresses")
    return messages.compactMap { message in
      message.type == 20 ? Self.parseAddress(message.payload.rawSpan, index: index) : nil
    }
  }

  /// ifaddrmsg with the address.
  private static func addressRequest(_ type: UInt16, _ address: IPNetwork, _ index: Int32) -> NetlinkMessage {
    var request = NetlinkMessage(type: type, fixedByteCount: 8)
    request.set(address.address.family, at: 0)
    request.set(UInt8(address.prefixLength), at: 1)
    request.set(index, at: 4)
    request.append(2, address.address.bytes)
    request.append(1, address.address.bytes)
    return request
  }

  /// The address of RTM_NEWADDR; nil when it belongs to another link or is not whole.
  static func parseAddress(_ bytes: RawSpan, index: Int32) -> IPNetwork? {
    guard bytes.byteCount >= 8, Int32(bitPattern: bytes.le32(at: 4)) == index else { return nil }
    var (local, other): (IPAddress?, IPAddress?)
    forEachAttribute(in: bytes, from: 8) { type, value in
      if type == 2 { local = IPAddress(bytes: value.array()) }
      if type == 1 { other = IPAddress(bytes: value.array()) }
    }
    guard let address = local ?? other, address.family == bytes.byte(at: 0) else { return nil }
    return IPNetwork(address, prefixLength: Int(bytes.byte(at: 1)))
  }
}

extension IPAddress {
  /// AF_INET or AF_INET6.
  var family: UInt8 { isIPv6 ? 10 : 2 }
}
