import Glibc
import LinuxIO

/// The names in a directory.
func names(in directory: String) -> [String] {
  guard let handle = opendir(directory) else { return [] }
  defer { closedir(handle) }
  var names: [String] = []
  while let entry = readdir(handle) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted()
}

/// How many descriptors of /dev/fuse this process has.
func openFUSEDescriptors() -> Int {
  names(in: "/proc/self/fd").filter { number in
    var target = [UInt8](repeating: 0, count: 256)
    let count = target.withUnsafeMutableBytes {
      readlink("/proc/self/fd/\(number)", $0.baseAddress!.assumingMemoryBound(to: CChar.self), 255)
    }
    return count > 0 && String(decoding: target[..<count], as: UTF8.self) == "/dev/fuse"
  }.count
}

/// What statvfs(3) says about the size.
func filesystemByteCount(_ path: String) -> UInt64 {
  var statistics = statvfs()
  guard statvfs(path, &statistics) == 0 else { return 0 }
  return UInt64(statistics.f_blocks) * UInt64(statistics.f_frsize)
}

/// The errno of an attempt to rename.
func renameError(_ from: String, _ to: String) -> Int32 {
  rename(from, to) == 0 ? 0 : errno
}

/// A new directory below /tmp.
func makeTemporaryDirectory() throws(Errno) -> String {
  var template = Array("/tmp/synthgate-diskfs-XXXXXX".utf8CString)
  return try template.withUnsafeMutableBufferPointer { buffer throws(Errno) in
    guard let made = mkdtemp(buffer.baseAddress!) else { throw Errno(rawValue: errno) }
    return String(cString: made)
  }
}
