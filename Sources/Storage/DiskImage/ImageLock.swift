import LinuxIO

/// Locks an image file as long as it is open: writers against everybody, readers against writers.
///
/// A process that has just ended holds its lock until the kernel has ended its I/O, some 30 ms after nobody can be seen
/// any more: a lock without a holder is waited for, a second at most.
///
/// - Throws: `.inUse`.
func lockImage(_ file: borrowing OwnedDescriptor, path: String, exclusive: Bool) throws(DiskImageError) {
  for attempt in 0...100 {
    do throws(Errno) { return try lockOnce(file, exclusive: exclusive) } catch {
      guard error == .EAGAIN || error == .EACCES else { throw .system(what: "lock it", error) }
      if attempt == 100 || imageHolder(path) != nil { break }
      sleepThread(nanoseconds: 10_000_000)
    }
  }
  do throws(Errno) { try lockOnce(file, exclusive: exclusive) } catch {
    guard error == .EAGAIN || error == .EACCES else { throw .system(what: "lock it", error) }
    if case .process(let id)? = try? file.lockHolder(exclusive: exclusive) {
      throw .inUse(holder: "\(processName(id) ?? "a program") (process \(id))")
    }
    throw .inUse(holder: imageHolder(path))
  }
}

/// A writer locks the whole file. A reader locks single bytes as the programs of QEMU do, so that it can read together
/// with them: byte 100 + p says that it needs p, byte 200 + p that nobody else may do p, where p is 0 for reading, 1 for
/// writing, 3 for changing the length.
private func lockOnce(_ file: borrowing OwnedDescriptor, exclusive: Bool) throws(Errno) {
  if exclusive { return try file.lock(exclusive: true) }
  do throws(Errno) {
    for byte: UInt64 in [100, 201, 203] { try file.lockByte(at: byte) }
    for byte: UInt64 in [101, 103, 200] where try file.isByteLocked(at: byte) { throw .EAGAIN }
  } catch {
    try? file.unlock()
    throw error
  }
}

/// The program that has the file locked or open, as `name (process 123)`; nil when none can be seen.
func imageHolder(_ path: String) -> String? {
  guard let wanted = try? canonicalPath(path) else { return nil }
  let holder = processesWithLockedFile(wanted).first ?? processesWithOpenFile(wanted).first
  return holder.map { "\($0.name) (process \($0.id))" }
}
