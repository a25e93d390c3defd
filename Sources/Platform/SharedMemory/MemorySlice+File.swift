import CLinux
public import LinuxIO

extension MemorySlice {
  /// Fills the whole slice with the bytes of a file.
  ///
  /// - Parameter offset: where they start in the file, in bytes.
  /// - Throws: the errno of pread(2); EIO when the file ends before.
  public func read(from descriptor: Int32, at offset: UInt64) throws(Errno) {
    var done = 0
    while done < byteCount {
      // SAFETY: the rest of the slice.
      let count = unsafe pread(descriptor, pointer + done, byteCount - done, off_t(offset) + done)
      if count < 0 {
        let error = Errno(rawValue: synthgate_errno())
        if error == .EINTR { continue }
        throw error
      }
      if count == 0 { throw .EIO }
      done += count
    }
  }
}
