import FoundationEssentials
import LinuxIO

/// Unmounts what a mount process serves at `directory`, and waits until that has cleaned up.
///
/// - Parameter progress: called each second with what is waited for.
/// - Throws: `.notFound` when Synthgate has mounted nothing there, `.busy` while it is used, `.notPermitted`.
public func unmount(_ directory: String, progress: (String, Int) -> Void) throws(GatewayError) {
  let what = "unmount \(directory)"
  let runtime = RuntimeDirectory.current
  let canonical = (try? canonicalPath(directory)) ?? directory
  let stale = runtime.mountNames().compactMap { MountRecord.load($0, in: runtime) }
    .filter { !$0.isAlive && ($0.directory == directory || $0.directory == canonical) }
  runtime.cleanUpStale()
  // What a killed gateway left behind is gone now: that is what was asked for.
  if !stale.isEmpty { return }
  let records = runtime.mountNames().compactMap { MountRecord.load($0, in: runtime) }
  guard let record = records.last(where: { $0.directory == directory || $0.directory == canonical }) else {
    let mounts = records.map(\.directory).joined(separator: ", ")
    throw GatewayError(
      .notFound, what: what, why: "Synthgate has mounted nothing there",
      advice: mounts.isEmpty ? "nothing is mounted at all" : "mounted are: \(mounts)")
  }
  let process: ProcessHandle
  do throws(Errno) { process = try ProcessHandle(id: record.process) } catch { return }
  if record.driver != "none" {
    // Everything is on the disk then, even if the kernel does not let go of the filesystem yet.
    try? syncFilesystem(at: canonical)
    do throws(Errno) { try unmountFilesystem(canonical) } catch {
      switch error {
      case .EBUSY:
        throw GatewayError(
          .busy, what: what, why: "it is in use", advice: "end its users first (fuser -vm \(directory))")
      case .EINVAL: break  // Somebody has unmounted it meanwhile.
      case .EPERM, .EACCES:
        try unmountByHelper(canonical, what: what)
      default: throw GatewayError(.failed, what: what, why: "\(error)")
      }
    }
  } else if isInUse(record.diskDirectory, except: record.process) {
    throw GatewayError(.busy, what: what, why: "its files are in use", advice: "end their users first")
  }
  process.send(signal: 15)
  let start = monotonicNanoseconds()
  while !process.hasEnded(waiting: 1000) {
    let seconds = Int((monotonicNanoseconds() - start) / 1_000_000_000)
    if let holder = record.loopDevice.flatMap(otherMounter) {
      if seconds >= 5 {
        throw GatewayError(
          .busy, what: what, why: "it is unmounted here, but process \(holder) still has it in another mount namespace",
          advice: "end that process; the disk is served until then")
      }
      progress("waiting for process \(holder), which has it in another mount namespace", seconds)
      continue
    }
    progress("waiting until everything is written", seconds)
    if seconds >= 300 {
      throw GatewayError(
        .failed, what: what, why: "process \(record.process) has not ended after \(seconds) seconds",
        advice: "see \(runtime.mountDirectory(record.name))/log")
    }
  }
  runtime.cleanUpStale()
}

/// A process in whose mount namespace `device` is mounted, with its name.
private func otherMounter(of device: String) -> String? {
  for id in directoryEntries("/proc").compactMap({ Int32($0) }) {
    guard (try? mountTable(ofProcess: "\(id)"))?.contains(where: { $0.source == device }) == true else { continue }
    return "\(id) (\(processName(id) ?? "?"))"
  }
  return nil
}

/// A user without privilege unmounts FUSE filesystems of his own by fusermount3.
private func unmountByHelper(_ directory: String, what: String) throws(GatewayError) {
  let code = (try? ProcessHandle.start(["/usr/bin/fusermount3", "-u", directory]))?.exitCode()
  guard code == 0 else {
    throw GatewayError(
      .notPermitted, what: what, why: "no permission to unmount it", advice: "run as the user who mounted it")
  }
}

/// Whether some process has a file below `directory` open, as far as /proc shows it; that of the mount itself does not count.
private func isInUse(_ directory: String, except process: Int32) -> Bool {
  directoryEntries("/proc").compactMap { Int32($0) }.filter { $0 != process }.contains { id in
    directoryEntries("/proc/\(id)/fd").contains { entry in
      (try? linkTarget("/proc/\(id)/fd/\(entry)"))?.hasPrefix(directory + "/") == true
    }
  }
}
