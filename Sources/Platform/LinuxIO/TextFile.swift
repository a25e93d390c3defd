import CLinux

/// The whole of a small text file.
///
/// - Throws: the errno of open(2) or read(2).
public func readTextFile(_ path: String) throws(Errno) -> String {
  let file = try OwnedDescriptor.open(path, flags: O_RDONLY)
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65536)
  while true {
    // SAFETY: the kernel writes at most as many bytes as the array has.
    let count = unsafe read(file.number, &buffer, buffer.count)
    if count < 0 { throw Errno(rawValue: synthgate_errno()) }
    if count == 0 { return String(decoding: bytes, as: UTF8.self) }
    bytes.append(contentsOf: buffer[..<count])
  }
}

/// The first line of the text file at `path`; nil when it can't be read or is empty.
public func readFirstLine(_ path: String) -> String? {
  guard let text = try? readTextFile(path) else { return nil }
  return text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init)
}
