import CFUSE
import LinuxIO
import SharedMemory

/// A mounted FUSE filesystem: the mount point and the connection, from which each thread makes a channel of its own.
///
/// Life cycle: init mounts and shakes hands with the kernel; `makeChannel` in each worker thread; `unmount`, after which
/// every channel reports its end; the connection is closed when the last channel and this object are gone.
@safe public final class FUSEMount: @unchecked Sendable {
  // Sendable: the session is used only to clone its descriptor and to write notifications, single system calls that the
  // kernel orders; `state` is atomic; everything else is constant.
  private let session: FUSESession
  // SAFETY: a session of libfuse that did the mount through fusermount3; only `unmount` uses it, once.
  private let helper: OpaquePointer?
  private let initRequest: MemoryRegion
  private let initByteCount: Int
  private let isMounted = Monitor(true)
  private let source: String

  /// Where the filesystem is.
  public let mountPoint: String
  /// The longest read or write in bytes.
  public let transferByteCount: Int

  /// Mounts at the directory `mountPoint` and shakes hands.
  ///
  /// With the privilege to mount this is mount(2); without it, fusermount3 does it.
  ///
  /// - Parameters:
  ///   - source: what /proc/mounts shows as the device.
  ///   - transferByteCount: the longest read or write, a multiple of the page size up to 1 MiB.
  ///   - isReadOnly: mounted with `ro`.
  ///   - allowsOthers: users other than the owner get in, as far as the permissions of the files allow.
  public init(
    at mountPoint: String, source: String, transferByteCount: Int = 1 << 20, isReadOnly: Bool = false,
    allowsOthers: Bool = true
  ) throws(FUSEError) {
    precondition(transferByteCount >= pageByteCount && transferByteCount <= 1 << 20)
    precondition(transferByteCount % pageByteCount == 0)
    // The mount table shows the real path.
    // SAFETY: the path is read during the call; the answer is freed here.
    guard let resolved = unsafe realpath(mountPoint, nil) else { throw .mount(path: mountPoint, .ENOENT) }
    let mountPoint = unsafe String(cString: resolved)
    unsafe free(resolved)
    let source = source.isEmpty || source.contains(",") ? "synthgate" : source
    self.mountPoint = mountPoint
    self.source = source
    self.transferByteCount = transferByteCount
    let number = synthgate_fuse_open()
    guard number >= 0 else { throw .device(Errno(rawValue: -number)) }
    var descriptor = OwnedDescriptor(adopting: number)
    var options = "fd=\(number),rootmode=40000,user_id=\(geteuid()),group_id=\(getegid())"
    options += ",default_permissions,max_read=\(transferByteCount)" + (allowsOthers ? ",allow_other" : "")
    // SAFETY: the strings are read during the call.
    let failure = unsafe synthgate_fuse_mount(source, mountPoint, options, isReadOnly ? 1 : 0)
    if failure == -Errno.EPERM.rawValue {
      var options = "fsname=\(source),subtype=synthgate,default_permissions,max_read=\(transferByteCount)"
      options += isReadOnly ? ",ro" : ""
      let mounted = try unsafe Self.mountByHelper(mountPoint, options)
      unsafe helper = unsafe mounted
      // SAFETY: the session is mounted; the copy is ours.
      let copy = unsafe synthgate_fuse_duplicate(fuse_session_fd(mounted))
      guard copy >= 0 else {
        unsafe fuse_session_unmount(mounted)
        unsafe fuse_session_destroy(mounted)
        throw .device(Errno(rawValue: -copy))
      }
      descriptor = OwnedDescriptor(adopting: copy)
    } else if failure < 0 {
      throw .mount(path: mountPoint, Errno(rawValue: -failure))
    } else {
      unsafe helper = nil
    }
    do throws(FUSEError) {
      (initRequest, initByteCount) = try InitLayout.receive(from: descriptor.number)
      session = try FUSESession(descriptor, transferByteCount: transferByteCount)
      session.handshake(initRequest.slice.slice(at: 0, count: initByteCount), answers: true)
    } catch {
      // SAFETY: nobody else has seen the mount; the helper's session is not used afterwards.
      if let helper = unsafe helper {
        unsafe fuse_session_unmount(helper)
        unsafe fuse_session_destroy(helper)
      } else {
        _ = unsafe synthgate_fuse_unmount(mountPoint, 1)
      }
      throw error
    }
  }

  deinit {
    unmount()
    // SAFETY: nobody uses the helper's session any more.
    if let helper = unsafe helper { unsafe fuse_session_destroy(helper) }
  }

  /// A channel for the calling thread, with a descriptor of its own.
  ///
  /// - Parameter slotCount: how many replies can be parked.
  public func makeChannel(slotCount: Int) throws(FUSEError) -> FUSEChannel {
    let clone = synthgate_fuse_clone(session.descriptor)
    guard clone >= 0 else { throw .clone(Errno(rawValue: -clone)) }
    let session = try FUSESession(OwnedDescriptor(adopting: clone), transferByteCount: transferByteCount)
    // libfuse serves nothing before it has seen FUSE_INIT, which the kernel sends once for a connection.
    session.handshake(initRequest.slice.slice(at: 0, count: initByteCount), answers: false)
    return FUSEChannel(session: session, slotCount: slotCount, transferByteCount: transferByteCount)
  }

  /// Makes the kernel forget the attributes and pages of a file. Waits for I/O of that file: not for worker threads.
  public func forgetContents(of node: UInt64) {
    session.forgetContents(of: node)
  }

  /// Makes the kernel forget a name. Waits for look-ups of that name: not for worker threads.
  public func forgetName(_ name: String, in parent: UInt64 = FUSEOperation.rootNode) {
    session.forgetName(name, in: parent)
  }

  /// Takes the mount point away, while the channels still serve what that needs; later calls do nothing.
  ///
  /// A mount in use is detached: its name goes now, open files live until the channels end.
  ///
  /// - Returns: whether the connection has ended; otherwise somebody still uses the filesystem.
  @discardableResult
  public func unmount() -> Bool {
    let wasMounted = isMounted.withLock { value in
      defer { value = false }
      return value
    }
    guard wasMounted, isOurs else { return true }
    // SAFETY: the path is read during the call; the helper's session is used here only.
    if let helper = unsafe helper {
      unsafe fuse_session_unmount(helper)
      return false
    }
    let failure = unsafe synthgate_fuse_unmount(mountPoint, 0)
    if failure == -Errno.EBUSY.rawValue {
      _ = unsafe synthgate_fuse_unmount(mountPoint, 1)
      return false
    }
    return true
  }

  /// Whether what is mounted there is still this filesystem: somebody else may have unmounted it, and then the mount point
  /// may belong to another one.
  private var isOurs: Bool {
    let top = (try? mountTable())?.last { $0.target == mountPoint }
    return top?.type == "fuse.synthgate" && top?.source == source
  }

  private static func mountByHelper(_ path: String, _ options: String) throws(FUSEError) -> OpaquePointer {
    // SAFETY: an empty table of functions, copied by libfuse; the session is mounted or destroyed here.
    var none = fuse_lowlevel_ops()
    guard let session = unsafe synthgate_fuse_session(&none, options, nil) else { throw .session }
    guard unsafe fuse_session_mount(session, path) == 0 else {
      unsafe fuse_session_destroy(session)
      throw .mount(path: path, .EPERM)
    }
    return unsafe session
  }
}
