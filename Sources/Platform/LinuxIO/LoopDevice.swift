import CLinux

/// A loop device: a block device over a file. It goes when this owner and every mount of it are gone.
public struct LoopDevice: ~Copyable, Sendable {
  private let owned: OwnedDescriptor
  /// The device file, for example `/dev/loop3`.
  public let path: String

  /// A loop device over `file`.
  ///
  /// - Parameters:
  ///   - sectorByteCount: logical block size of the device.
  ///   - directIO: whether the device reads and writes the file past the page cache.
  /// - Throws: EPERM or EACCES without permission, ENXIO or ENOENT without loop support, EBUSY when none is free.
  public init(over file: String, readOnly: Bool, sectorByteCount: Int, directIO: Bool) throws(Errno) {
    let direct = directIO ? O_DIRECT : 0
    let backing = try OwnedDescriptor.open(file, flags: (readOnly ? O_RDONLY : O_RDWR) | direct)
    var descriptor: Int32 = -1
    // SAFETY: a null-terminated text and a local number during the call.
    let number = try unsafe check(
      synthgate_loop_attach(
        backing.number, file, UInt32(sectorByteCount), readOnly ? 1 : 0, directIO ? 1 : 0, &descriptor))
    owned = OwnedDescriptor(adopting: descriptor)
    path = "/dev/loop\(number)"
  }
}
