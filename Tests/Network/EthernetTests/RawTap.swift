import Glibc

/// A bare TAP, the kernel's side of which the tests use as a referee.
final class RawTap {
  let descriptor: Int32
  private let headerByteCount: Int

  /// A new TAP in the namespace of the calling thread; it goes with its last descriptor.
  init(_ name: String, hasHeader: Bool) throws {
    descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
    headerByteCount = hasHeader ? 12 : 0
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<name.utf8.count, with: name.utf8)
    // IFF_TAP, IFF_NO_PI, IFF_VNET_HDR.
    let flags: Int = 0x1002 | (hasHeader ? 0x4000 : 0)
    request[16] = UInt8(flags & 255)
    request[17] = UInt8(flags >> 8)
    guard descriptor >= 0, ioctl(descriptor, 0x4004_54ca, &request) == 0 else {
      throw CommandError(description: "TUNSETIFF: \(errno)")
    }
    var size: Int32 = 12
    if hasHeader, ioctl(descriptor, 0x4004_54d8, &size) != 0 {
      throw CommandError(description: "TUNSETVNETHDRSZ: \(errno)")
    }
  }

  deinit {
    close(descriptor)
  }

  func write(_ bytes: [UInt8]) -> Bool { Glibc.write(descriptor, bytes, bytes.count) == bytes.count }

  /// The next frame; nil when none comes for `milliseconds`.
  func read(milliseconds: Int32) -> [UInt8]? {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, milliseconds) > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 70_000)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    return count > 0 ? Array(bytes[..<count]) : nil
  }
}
