import LinuxIO
import SharedMemory

/// A file that a guest starts from, kept open: a kernel or an initial RAM disk. Its errors name it.
final class BootFile {
  let path: String
  let byteCount: Int
  private let owned: OwnedDescriptor

  /// Opens a regular file.
  init(_ path: String) throws(MachineError) {
    self.path = path
    do throws(Errno) {
      owned = try OwnedDescriptor.open(path, flags: 0)
      let info = try FileInfo(descriptor: owned.number)
      guard info.kind == .regular else { throw Errno.EISDIR }
      byteCount = Int(info.byteCount)
    } catch {
      throw .image(path, "\(error)")
    }
  }

  /// The first `count` bytes, fewer where the file ends before.
  func bytes(count: Int) throws(MachineError) -> [UInt8] {
    do throws(Errno) { return try readBytes(owned.number, at: 0, count: count) } catch {
      throw .image(path, "\(error)")
    }
  }

  /// Fills `memory` from byte `offset` of the file on.
  func read(into memory: MemorySlice, at offset: UInt64) throws(MachineError) {
    do throws(Errno) { try memory.read(from: owned.number, at: offset) } catch { throw .image(path, "\(error)") }
  }
}
