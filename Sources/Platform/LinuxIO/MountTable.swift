import CLinux

/// One mount of this process's mount namespace, a line of /proc/self/mountinfo.
public struct MountEntry: Sendable, Equatable {
  /// Where it is mounted.
  public let target: String
  /// Filesystem type, for example `ext4` or `fuse.synthgate`.
  public let type: String
  /// What is mounted, for example `/dev/loop0`.
  public let source: String
  /// Number of the device, `MAJOR:MINOR`; some filesystems have one of their own that is no device.
  public let device: String
}

/// The mounts of this process's mount namespace, in the order in which they were made.
///
/// - Throws: the errno with which /proc/self/mountinfo could not be read.
public func mountTable() throws(Errno) -> [MountEntry] {
  try mountTable(ofProcess: "self")
}

/// The mounts of the mount namespace of a process.
///
/// - Parameter process: its number, or `self`.
/// - Throws: the errno with which its mountinfo could not be read.
public func mountTable(ofProcess process: String) throws(Errno) -> [MountEntry] {
  try mountTable(at: "/proc/\(process)/mountinfo")
}

/// The mounts that the file at `path` tells, which has the form of /proc/self/mountinfo.
///
/// - Throws: the errno with which it could not be read.
public func mountTable(at path: String) throws(Errno) -> [MountEntry] {
  let text = try readTextFile(path)
  return text.split(separator: "\n").compactMap { line in
    let fields = line.split(separator: " ")
    guard let dash = fields.firstIndex(of: "-"), dash + 2 < fields.count, fields.count > 4 else { return nil }
    return MountEntry(
      target: unescapeMountField(fields[4]), type: String(fields[dash + 1]),
      source: unescapeMountField(fields[dash + 2]), device: String(fields[2]))
  }
}

/// The text of a field of mountinfo, in which space, tab, newline and backslash stand as octal numbers.
private func unescapeMountField(_ field: Substring) -> String {
  var bytes: [UInt8] = []
  var rest = Array(field.utf8)[...]
  while let byte = rest.popFirst() {
    if byte == UInt8(ascii: "\\"), rest.count >= 3,
      let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
    {
      bytes.append(code)
      rest = rest.dropFirst(3)
    } else {
      bytes.append(byte)
    }
  }
  return String(decoding: bytes, as: UTF8.self)
}

/// Mounts a filesystem (mount(2)).
///
/// - Parameters:
///   - flags: MS_ flags.
///   - options: the filesystem's own options, separated by commas.
public func mountFilesystem(
  source: String, target: String, type: String, flags: UInt = 0, options: String = ""
) throws(Errno) {
  // SAFETY: null-terminated texts during the call.
  _ = try unsafe check(synthgate_mount(source, target, type, flags, options))
}

/// Has the filesystem at `directory` write everything that it holds in memory, and waits for it (syncfs(2)).
///
/// - Throws: the errno of open(2) or syncfs(2); EIO says that something could not be written.
public func syncFilesystem(at directory: String) throws(Errno) {
  let opened = try OwnedDescriptor.open(directory, flags: O_RDONLY)
  _ = try checkErrno(syncfs(opened.number))
}

/// Takes a mount away (umount2(2)).
///
/// - Parameter lazily: detach it now and clean up when it is not used any more (MNT_DETACH).
/// - Throws: EBUSY while it is used, EINVAL where nothing is mounted.
public func unmountFilesystem(_ target: String, lazily: Bool = false) throws(Errno) {
  // SAFETY: a null-terminated text during the call. UMOUNT_NOFOLLOW is 8, MNT_DETACH is 2.
  _ = try unsafe check(synthgate_umount(target, 8 | (lazily ? 2 : 0)))
}

/// Flags of mount(2) that Synthgate uses.
public enum MountFlag {
  /// MS_RDONLY.
  public static let readOnly: UInt = 1
  /// MS_NOSUID.
  public static let noSuid: UInt = 2
  /// MS_NODEV.
  public static let noDevices: UInt = 4
  /// MS_NOEXEC.
  public static let noExec: UInt = 8
  /// MS_SYNCHRONOUS.
  public static let synchronous: UInt = 16
  /// MS_NOATIME.
  public static let noAccessTime: UInt = 1024
  /// MS_NODIRATIME.
  public static let noDirectoryAccessTime: UInt = 2048
  /// MS_RELATIME.
  public static let relativeAccessTime: UInt = 1 << 21
}

/// Removes an empty directory (rmdir(2)); what is not empty, or a mount, stays.
public func removeEmptyDirectory(_ path: String) throws(Errno) {
  // SAFETY: a null-terminated text during the call.
  _ = try unsafe checkErrno(rmdir(path))
}
