import CLinux
public import LinuxIO

/// A sealed memfd: memory that several processes map, and that nobody can shrink under another's feet.
public final class MemoryFile: Sendable {
  private let owned: OwnedDescriptor

  /// Length in bytes, a multiple of the page size.
  public let byteCount: Int

  /// The descriptor, to be sent to a peer.
  public var descriptor: Int32 { owned.number }

  /// A new file of zeros.
  ///
  /// - Parameters:
  ///   - name: shown in /proc/PID/maps.
  ///   - byteCount: length; rounded up to whole pages.
  public init(name: String, byteCount: Int) throws(Errno) {
    // SAFETY: the name is null-terminated during the call.
    owned = try unsafe OwnedDescriptor(adopting: check(synthgate_memfd(name)))
    self.byteCount = (byteCount + pageByteCount - 1) & ~(pageByteCount - 1)
    guard ftruncate(owned.number, self.byteCount) == 0 else { throw Errno(rawValue: synthgate_errno()) }
    _ = try check(synthgate_fcntl(owned.number, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
  }

  /// A file that a peer handed over.
  ///
  /// - Throws: EINVAL unless it is a memfd of ordinary pages that can't shrink and is a multiple of the page size long; a file that could
  ///   shrink would let the peer kill this process with SIGBUS.
  public init(adopting owned: consuming OwnedDescriptor) throws(Errno) {
    let number = owned.number
    self.owned = owned
    let seals = try check(synthgate_fcntl(number, F_GET_SEALS, 0))
    guard seals & F_SEAL_SHRINK != 0 else { throw .EINVAL }
    // Huge pages are not reserved: a hole that can't be filled would kill this process with SIGBUS, too.
    guard try check(synthgate_has_ordinary_pages(number)) == 1 else { throw .EINVAL }
    let end = lseek(number, 0, SEEK_END)
    guard end > 0, end % pageByteCount == 0 else { throw .EINVAL }
    byteCount = end
  }
}

/// The page size of VMBus and of this machine, in bytes.
public let pageByteCount = 4096
