import CLinux
public import LinuxIO

/// A raw socket on a link (packet(7)) that hears the frames of one type that arrive at it, as the kernel has them.
public final class LinkReceiver {
  private let owned: OwnedDescriptor
  private let type: UInt16

  /// A frame that has arrived.
  public struct Frame: Equatable, Sendable {
    /// The frame, without the outermost 802.1Q or 802.1ad tag: the kernel takes it out.
    public var bytes: [UInt8]
    /// That tag: its type and what it tells.
    public var tag: Tag?

    /// A frame.
    public init(bytes: [UInt8], tag: Tag? = nil) {
      self.bytes = bytes
      self.tag = tag
    }
  }

  /// A VLAN tag.
  public struct Tag: Equatable, Sendable {
    /// 0x8100, or 0x88a8.
    public var type: UInt16
    /// Priority and identifier.
    public var control: UInt16

    /// A tag.
    public init(type: UInt16, control: UInt16) {
      self.type = type
      self.control = control
    }
  }

  /// A socket on the link `index` of `namespace` for frames whose type, behind the tag that the kernel takes out, is
  /// `type`.
  public init(index: Int32, in namespace: NetworkNamespace, type: UInt16) throws {
    self.type = type
    // ETH_P_ALL: also frames of types that no protocol of the kernel has.
    let everything = Int32(UInt16(3).bigEndian)
    let number = try namespace.run { socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), everything) }
    owned = OwnedDescriptor(adopting: try check(number))
    // PACKET_AUXDATA, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE.
    try set(263, 8, 1)
    try set(263, 23, 1)
    try set(SOL_SOCKET, 33, 32 << 20)
    var address = [UInt8](repeating: 0, count: 20)
    address[0] = UInt8(AF_PACKET)
    address[3] = 3
    for byte in 0..<4 { address[4 + byte] = UInt8(truncatingIfNeeded: index >> (8 * Int32(byte))) }
    let result = address.withUnsafeBytes {
      bind(owned.number, __CONST_SOCKADDR_ARG(__sockaddr__: $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)), 20)
    }
    guard result == 0 else { throw Errno(rawValue: synthgate_errno()) }
  }

  private func set(_ level: Int32, _ option: Int32, _ value: Int32) throws {
    var value = value
    guard setsockopt(owned.number, level, option, &value, 4) == 0 else { throw Errno(rawValue: synthgate_errno()) }
  }

  /// The next frame; nil when none arrives within `milliseconds`.
  public func receive(milliseconds: Int32 = 2000) throws -> Frame? {
    while waitForInput([owned.number], milliseconds: milliseconds) != 0 {
      guard let frame = try read() else { continue }
      if frame.bytes.count >= 14, UInt16(frame.bytes[12]) << 8 | UInt16(frame.bytes[13]) == type { return frame }
    }
    return nil
  }

  private func read() throws -> Frame? {
    var bytes = [UInt8](repeating: 0, count: 1 << 17)
    var control = [UInt8](repeating: 0, count: 256)
    var controlByteCount = 0
    let count = bytes.withUnsafeMutableBytes { area in
      control.withUnsafeMutableBytes { controlArea in
        var vector = iovec(iov_base: area.baseAddress, iov_len: area.count)
        return withUnsafeMutablePointer(to: &vector) { pointer in
          var message = msghdr()
          message.msg_iov = pointer
          message.msg_iovlen = 1
          message.msg_control = controlArea.baseAddress
          message.msg_controllen = controlArea.count
          // MSG_DONTWAIT
          let received = recvmsg(owned.number, &message, 0x40)
          controlByteCount = Int(message.msg_controllen)
          return received
        }
      }
    }
    if count < 0 {
      let errno = synthgate_errno()
      if errno == EAGAIN || errno == ENETDOWN { return nil }
      throw Errno(rawValue: errno)
    }
    return Frame(bytes: Array(bytes[..<count]), tag: tag(Array(control[..<controlByteCount])))
  }

  /// The tag in a cmsghdr (16 bytes) with a tpacket_auxdata: status and two lengths of 32 bits, then mac, net, tag
  /// control and tag type of 16 bits.
  private func tag(_ control: [UInt8]) -> Tag? {
    guard control.count >= 36 else { return nil }
    func number(_ offset: Int) -> UInt16 { UInt16(control[offset]) | UInt16(control[offset + 1]) << 8 }
    // TP_STATUS_VLAN_VALID
    guard number(16) & 0x10 != 0 else { return nil }
    return Tag(type: number(34), control: number(32))
  }
}
