import FoundationEssentials
import LinuxIO

extension RuntimeDirectory {
  /// Removes what processes left behind that were killed: mounts, loop devices, directories. Answers the names.
  ///
  /// Every command calls it first, so that a killed gateway never leaves more than an error until the next command.
  @discardableResult
  public func cleanUpStale() -> [String] {
    var cleaned: [String] = []
    for name in mountNames() {
      guard let record = MountRecord.load(name, in: self) else {
        // A process that has not written its state yet, or that died before it could.
        if isAbandoned(mountDirectory(name)) { removeState(name) }
        continue
      }
      if record.isAlive { continue }
      undo(record)
      cleaned.append(name)
    }
    cleanUpStaleLinks()
    HyperVGuest().repairAttachments(in: self)
    return cleaned
  }

  /// Takes the mounts of `record` away, the upper one first, and removes its directories.
  func undo(_ record: MountRecord) {
    if record.directory != record.diskDirectory { unmountCompletely(record.directory, source: record.loopDevice) }
    unmountCompletely(record.diskDirectory, source: "synthgate")
    if record.diskDirectory != record.directory { try? removeEmptyDirectory(record.diskDirectory) }
    removeState(record.name)
  }

  /// Unmounts what stands at `directory`, if it is ours; a busy mount is detached and goes when its users do.
  private func unmountCompletely(_ directory: String, source: String?) {
    guard let entry = (try? mountTable())?.last(where: { $0.target == directory }) else { return }
    guard source == nil || entry.source == source || entry.type.hasPrefix("fuse") else { return }
    do throws(Errno) { try unmountFilesystem(directory, lazily: true) } catch {
      _ = try? ProcessHandle.start(["/usr/bin/fusermount3", "-u", "-z", "-q", directory]).exitCode()
    }
  }

  func removeState(_ name: String) {
    _ = try? FileManager.default.removeItem(atPath: mountDirectory(name))
  }

  /// Whether the process that made a state directory has ended.
  func isAbandoned(_ directory: String) -> Bool {
    guard let text = try? readTextFile(directory + "/owner") else { return false }
    let fields = text.split(separator: " ")
    guard fields.count == 2, let id = Int32(fields[0]), let start = UInt64(fields[1]) else { return true }
    return !isProcessAlive(id, startedAt: start)
  }
}
