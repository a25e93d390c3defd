import FoundationEssentials
public import LinuxIO
import Synchronization

private let count = Atomic<Int>(0)

/// A new empty directory of this process below /tmp.
public func temporaryDirectory(_ name: String) throws(Errno) -> String {
  let number = count.wrappingAdd(1, ordering: .relaxed).newValue
  let path = "/tmp/synthgate-\(name)-\(ownProcess())-\(number)"
  removeTree(path)
  try makeDirectories(path)
  return path
}

/// Makes a directory and those above it.
public func makeDirectories(_ path: String) throws(Errno) {
  do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch { throw .EIO }
}

/// Removes what is at `path`, with all below it; a symbolic link goes, and what it points to stays.
public func removeTree(_ path: String) {
  _ = try? FileManager.default.removeItem(atPath: path)
}

/// Makes a symbolic link.
public func makeLink(_ target: String, at path: String) throws(Errno) {
  do { try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target) } catch { throw .EIO }
}

/// Replaces what is in the file at `path`.
public func writeTextFile(_ text: String, to path: String) throws(Errno) {
  // O_WRONLY | O_CREAT | O_TRUNC
  let file = try OwnedDescriptor.open(path, flags: 0o1 | 0o100 | 0o1000)
  try writeAll(Array(text.utf8), to: file.number)
}
