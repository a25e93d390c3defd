import Foundation
import LinuxIO
import NetworkSupport
import Synchronization

/// Raw sockets on both ends of a wire, for frames that no protocol of the kernel touches.
final class FramePair {
  /// A type that is free for experiments (IEEE 802).
  static let type: UInt16 = 0x88b5

  let guestSender: LinkSocket
  let guestReceiver: LinkReceiver
  let guestAddress: [UInt8]
  let outsideSender: LinkSocket
  let outsideReceiver: LinkReceiver
  let outsideAddress: [UInt8]

  init(_ wire: Wire) throws {
    (guestSender, guestReceiver, guestAddress) = try Self.end("syn0", in: wire.guest)
    (outsideSender, outsideReceiver, outsideAddress) = try Self.end("vsw0", in: wire.outside)
  }

  private static func end(_ name: String, in namespace: Namespace) throws -> (LinkSocket, LinkReceiver, [UInt8]) {
    let index = try namespace.index(name)
    let space = try namespace.open()
    let text = try namespace.link(name)?["address"] as? String ?? ""
    let address = text.split(separator: ":").compactMap { UInt8($0, radix: 16) }
    return (
      try LinkSocket(index: index, in: space), try LinkReceiver(index: index, in: space, type: type), address
    )
  }

  /// A frame from an end, or from a station behind it, which no switch has seen elsewhere.
  func frame(to destination: [UInt8], from source: [UInt8]? = nil, payload: [UInt8]) -> [UInt8] {
    let source = source ?? (destination == guestAddress ? outsideAddress : guestAddress)
    return destination + source + [UInt8(Self.type >> 8), UInt8(Self.type & 0xff)] + payload
  }
}

/// Streams between namespaces, compared byte by byte as they arrive.
enum Transfer {
  private static let lastPort = Atomic<UInt16>(20000)

  /// How many of `byteCount` bytes arrived as they were sent.
  static func tcp(_ byteCount: Int, from sender: Namespace, to receiver: Namespace, address: String) throws -> Int {
    let port = lastPort.add(1, ordering: .relaxed).newValue
    return try streamBytes(
      byteCount, from: sender.open(), to: receiver.open(), address: bytes(of: address), port: port)
  }

  private static func bytes(of address: String) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: address.contains(":") ? 16 : 4)
    guard inet_pton(bytes.count == 4 ? AF_INET : AF_INET6, address, &bytes) == 1 else {
      throw CommandFailure(description: "\(address) is no address")
    }
    return bytes
  }
}
