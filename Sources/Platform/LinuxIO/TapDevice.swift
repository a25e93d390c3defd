import CLinux

/// One queue of a TAP link (/dev/net/tun), with 12-byte little-endian vnet headers in front of its frames.
///
/// The link is there as long as one of its queues is, attached or not, unless it was made persistent. Once made, a queue
/// needs no privilege.
public final class TapDevice: Sendable {
  private let owned: OwnedDescriptor
  /// The name of the link when it was made; it may have been renamed since.
  public let name: String

  /// Readable while a frame waits; an error is reported when the link is gone.
  public var descriptor: Int32 { owned.number }

  /// The length of the vnet header, in bytes.
  public static let headerByteCount = 12
  /// The longest name of a link, in bytes.
  public static let maximumNameByteCount = 15

  /// How a queue comes to its link.
  public enum Creation: Sendable {
    /// The link is new: EBUSY when there is one of that name.
    case new
    /// One more queue of a link that is there; a new link where there is none.
    case existing
  }

  /// A new queue, attached, of the link `name` in the network namespace of the calling thread.
  ///
  /// - Parameters:
  ///   - name: may have a `%d` in it for a free number.
  ///   - hasCarrier: whether the link has carrier afterwards. Older kernels switch it on for a moment in any case.
  /// - Throws: ENOENT without /dev/net/tun, EACCES or EPERM without the privilege, EBUSY when the name is taken, EINVAL for
  ///   a name that can be none, or a link of another kind, E2BIG when there are too many queues, ENAMETOOLONG.
  public init(_ name: String, _ creation: Creation, hasCarrier: Bool) throws(Errno) {
    owned = try OwnedDescriptor(adopting: check(synthgate_tap_open()))
    guard !name.utf8.contains(0) else { throw .EINVAL }
    var features: UInt32 = 0
    // SAFETY: the kernel fills a local number.
    _ = try unsafe check(synthgate_tap_features(owned.number, &features))
    let exclusive: UInt32 = 0x8000
    let noCarrier: UInt32 = 0x40
    var flags = creation == .new ? exclusive : 0
    if !hasCarrier { flags |= features & noCarrier }
    var actual = [CChar](repeating: 0, count: 16)
    // SAFETY: the name is null-terminated; 16 bytes are filled, which is what the array has, the last of them zero.
    _ = try unsafe check(synthgate_tap_attach(owned.number, name, flags, &actual))
    self.name = String(decoding: actual.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if creation == .new {
      _ = try check(synthgate_tap_set(owned.number, synthgate_tap_header_byte_count, Int32(TapDevice.headerByteCount)))
      _ = try check(synthgate_tap_set(owned.number, synthgate_tap_little_endian, 1))
    }
    if hasCarrier != (flags & noCarrier == 0) { try setCarrier(hasCarrier) }
  }

  /// Switches the carrier of the link; it can be switched on only while a queue is attached.
  ///
  /// - Throws: EPERM when no queue is attached, EBADFD when the link is gone.
  public func setCarrier(_ isOn: Bool) throws(Errno) {
    _ = try check(synthgate_tap_set(owned.number, synthgate_tap_carrier, isOn ? 1 : 0))
  }

  /// Attaches the queue, so that it gets frames, or detaches it, which drops those that wait.
  ///
  /// - Throws: EINVAL when it is so already, EBADFD when the link is gone.
  public func setAttached(_ isAttached: Bool) throws(Errno) {
    _ = try check(synthgate_tap_set(owned.number, synthgate_tap_attached, isAttached ? 1 : 0))
  }

  /// Which unfinished frames the readers of all queues take: bit 0 partial checksums, 1 TCP over IPv4 to be cut, 2 TCP over
  /// IPv6 (TUN_F_). Frames that are written may have any form at any time.
  public func setOffloads(_ bits: Int32) throws(Errno) {
    _ = try check(synthgate_tap_set(owned.number, synthgate_tap_offloads, bits))
  }

  /// Whether the link stays when its last queue ends.
  public func setPersistent(_ isPersistent: Bool) throws(Errno) {
    _ = try check(synthgate_tap_set(owned.number, synthgate_tap_persistent, isPersistent ? 1 : 0))
  }
}
