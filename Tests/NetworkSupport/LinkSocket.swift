import CLinux
public import LinuxIO

/// A raw socket on a link (packet(7)): sends frames over it as a program inside of the namespace, in forms that no ordinary
/// socket has.
public final class LinkSocket {
  private let owned: OwnedDescriptor

  /// A socket on the link `index` of `namespace`, whose frames have a 10-byte vnet header in front.
  public init(index: Int32, in namespace: NetworkNamespace) throws {
    let number = try namespace.run { socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0) }
    owned = OwnedDescriptor(adopting: try check(number))
    // PACKET_VNET_HDR
    var isOn: Int32 = 1
    guard setsockopt(owned.number, 263, 15, &isOn, 4) == 0 else { throw Errno(rawValue: synthgate_errno()) }
    // sockaddr_ll: family, protocol (none is received), index, type, kind, length, address.
    var address = [UInt8](repeating: 0, count: 20)
    address[0] = UInt8(AF_PACKET)
    for byte in 0..<4 { address[4 + byte] = UInt8(truncatingIfNeeded: index >> (8 * Int32(byte))) }
    let result = address.withUnsafeBytes {
      bind(owned.number, __CONST_SOCKADDR_ARG(__sockaddr__: $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)), 20)
    }
    guard result == 0 else { throw Errno(rawValue: synthgate_errno()) }
  }

  /// Sends a frame. `header` is the vnet header.
  public func send(_ frame: [UInt8], header: [UInt8] = [UInt8](repeating: 0, count: 10)) throws {
    let all = header + frame
    guard write(owned.number, all, all.count) == all.count else { throw Errno(rawValue: synthgate_errno()) }
  }
}
