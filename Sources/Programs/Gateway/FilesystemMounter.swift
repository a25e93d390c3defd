import FoundationEssentials
import LinuxIO

/// Who carries the filesystem that is mounted on a disk.
public enum FilesystemDriver: String, Sendable, CaseIterable {
  /// The kernel where it can, else a user-space filesystem.
  case automatic = "auto"
  /// The kernel, over a loop device.
  case kernel
  /// A FUSE filesystem of its own: fuse2fs, ntfs-3g, fusefat.
  case userspace
}

/// A filesystem that is mounted on a file of a disk.
enum MountedFilesystem: Sendable {
  /// The kernel's, over this loop device (whose descriptor is closed: the mount alone keeps the device).
  case kernel(loop: String)
  /// A user-space one, served by this process.
  case userspace(ProcessHandle)
}

/// What is to be mounted where.
struct FilesystemMount: Sendable {
  /// The file of the partition or disk.
  var file: String
  /// Where to mount it.
  var directory: String
  /// Type as mount(8) names it.
  var type: String
  /// Whether it may not be written.
  var readOnly: Bool
  /// Sector size of the disk in bytes.
  var sectorSize: Int
  /// Further options for the filesystem.
  var options: [String]

  /// Mounts it.
  func mount(driver: FilesystemDriver) throws(GatewayError) -> MountedFilesystem {
    switch driver {
    case .userspace: return try mountInUserSpace(instead: nil)
    case .kernel: return try mountByKernel()
    case .automatic:
      if effectiveUser() != 0 { return try mountInUserSpace(instead: nil) }
      guard isKnownToKernel else { return try mountInUserSpace(instead: nil) }
      do throws(GatewayError) { return try mountByKernel() } catch {
        guard error.kind == .notPermitted else { throw error }
        return try mountInUserSpace(instead: error)
      }
    }
  }

  private var what: String { "mount \(type) filesystem at \(directory)" }

  /// Whether the kernel has the filesystem, built in or as a module that mount(2) would load.
  private var isKnownToKernel: Bool {
    if (try? readTextFile("/proc/filesystems"))?.split(whereSeparator: \.isWhitespace).contains(Substring(type)) == true
    {
      return true
    }
    return loadKernelModule("fs-\(type)") == nil
  }

  private func mountByKernel() throws(GatewayError) -> MountedFilesystem {
    let loop: LoopDevice
    do throws(Errno) {
      loop = try LoopDevice(over: file, readOnly: readOnly, sectorByteCount: sectorSize, directIO: true)
    } catch {
      let denied = error == .EPERM || error == .EACCES || error == .ENOENT || error == .ENXIO
      throw GatewayError(
        denied ? .notPermitted : .failed, what: what, why: "no loop device: \(error)",
        advice: denied ? "run as root, or use --driver userspace" : "")
    }
    var (flags, data) = Self.split(options)
    if readOnly { flags |= MountFlag.readOnly }
    do throws(Errno) {
      try mountFilesystem(source: loop.path, target: directory, type: type, flags: flags, options: data)
    } catch {
      throw GatewayError(
        error == .EPERM || error == .EACCES ? .notPermitted : error == .EBUSY ? .busy : .failed, what: what,
        why: error == .ENODEV ? "the kernel does not know it" : "\(error)",
        advice: error == .ENODEV
          ? "use --driver userspace" : error == .EINVAL ? "see the kernel log (dmesg) for the reason" : "")
    }
    return .kernel(loop: loop.path)
  }

  /// Options that are flags of mount(2), and the rest for the filesystem.
  private static func split(_ options: [String]) -> (UInt, String) {
    var flags: UInt = 0
    var rest: [String] = []
    for option in options {
      switch option {
      case "ro": flags |= MountFlag.readOnly
      case "rw", "defaults": break
      case "nosuid": flags |= MountFlag.noSuid
      case "nodev": flags |= MountFlag.noDevices
      case "noexec": flags |= MountFlag.noExec
      case "sync": flags |= MountFlag.synchronous
      case "noatime": flags |= MountFlag.noAccessTime
      case "nodiratime": flags |= MountFlag.noDirectoryAccessTime
      case "relatime": flags |= MountFlag.relativeAccessTime
      default: rest.append(option)
      }
    }
    return (flags, rest.joined(separator: ","))
  }

  private func mountInUserSpace(instead failure: GatewayError?) throws(GatewayError) -> MountedFilesystem {
    guard let program = userSpaceProgram else {
      if let failure { throw failure }
      throw GatewayError(
        .failed, what: what, why: "neither the kernel nor a user-space filesystem for it is here",
        advice: "install one, or use --filesystem none and read the raw files")
    }
    guard
      let path = ["/usr/bin/", "/bin/", "/sbin/", "/usr/sbin/"].map({ $0 + program.name })
        .first(where: { FileManager.default.isExecutableFile(atPath: $0) })
    else {
      throw GatewayError(
        .notFound, what: what, why: "\(program.name) is not installed",
        advice: "install it (Debian package \(program.package))")
    }
    let arguments = [path] + program.arguments
    let process: ProcessHandle
    do throws(Errno) { process = try ProcessHandle.start(arguments, newSession: true) } catch {
      throw GatewayError(.failed, what: what, why: "\(program.name) can't be started: \(error)")
    }
    // The program runs in the foreground: it is ready when the mount is there.
    for _ in 0..<3000 {
      if (try? mountTable())?.contains(where: { $0.target == directory && $0.type.hasPrefix("fuse") }) == true {
        return .userspace(process)
      }
      if process.hasEnded(waiting: 10) {
        throw GatewayError(
          .failed, what: what, why: "\(program.name) ended with exit code \(process.exitCode())",
          advice: "its message stands above")
      }
    }
    process.send(signal: 15)
    throw GatewayError(.failed, what: what, why: "\(program.name) did not mount within 30 seconds")
  }

  private var userSpaceProgram: (name: String, package: String, arguments: [String])? {
    let access = readOnly ? "ro" : "rw"
    let rest = options.filter { $0 != "ro" && $0 != "rw" }
    func joined(_ first: [String]) -> String { (first + rest).joined(separator: ",") }
    switch type {
    case "ext2", "ext3", "ext4":
      return ("fuse2fs", "fuse2fs", [file, directory, "-f", "-o", joined([access, "fakeroot"])])
    case "ntfs":
      return ("ntfs-3g", "ntfs-3g", [file, directory, "-o", joined([access, "no_detach", "big_writes"])])
    case "vfat":
      return ("fusefat", "fusefat", [file, directory, "-f", "-o", joined(readOnly ? ["ro"] : ["rw+"])])
    default: return nil
    }
  }
}
