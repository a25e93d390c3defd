import LinuxIO
import SharedMemory
import URing

/// An image file or block device that was found, opened and found fit, before its format is known.
struct ImageSource: ~Copyable {
  let path: String
  let facts: FileInfo
  /// Through the page cache, without a lock.
  let file: OwnedDescriptor
  let isReadOnly: Bool

  static func find(_ path: String, isReadOnly: Bool) throws(DiskImageError) -> ImageSource {
    if NBDAddress.isMeant(by: path) { throw .remote }
    let file = try open(path, isReadOnly: isReadOnly)
    let facts = try facts(file)
    switch facts.kind {
    case .directory: throw .directory
    case .other: throw .notAnImage
    case .regular, .blockDevice: break
    }
    if facts.byteCount == 0 { throw .empty }
    return ImageSource(path: path, facts: facts, file: file, isReadOnly: isReadOnly)
  }

  private static func open(_ path: String, isReadOnly: Bool) throws(DiskImageError) -> OwnedDescriptor {
    do throws(Errno) {
      // Without O_NONBLOCK a pipe without a writer would hold the program here; with it io_uring would answer EAGAIN.
      let file = try OwnedDescriptor.open(path, flags: (isReadOnly ? 0 : readWriteFlag) | nonBlockingFlag)
      try file.setBlocking()
      return file
    } catch {
      throw DiskImageError(opening: path, error, toWrite: !isReadOnly)
    }
  }

  private static func facts(_ file: borrowing OwnedDescriptor) throws(DiskImageError) -> FileInfo {
    do throws(Errno) { return try FileInfo(descriptor: file.number) } catch {
      throw .system(what: "look at it", error)
    }
  }

  /// The format whose signature a file bears.
  enum Signature: Equatable {
    /// None: its bytes may be those of a disk.
    case none
    case vhd
    case vhdx
    /// One that is not served.
    case other(String)
  }

  /// The format whose signature the file bears.
  func signature() -> Signature {
    let start = signature(at: 0)
    if start == Array("vhdxfile".utf8) { return .vhdx }
    if start == Array("conectix".utf8) { return .vhd }
    if start.starts(with: [0x51, 0x46, 0x49, 0xfb]) { return .other("qcow2") }
    if start.starts(with: Array("KDMV".utf8)) { return .other("VMDK") }
    // A fixed VHD has only a footer, in the last 512 bytes (511 in the oldest).
    for length: UInt64 in [512, 511] where facts.byteCount > length {
      if signature(at: facts.byteCount - length) == Array("conectix".utf8) { return .vhd }
    }
    return .none
  }

  private func signature(at offset: UInt64) -> [UInt8] {
    guard let memory = try? MemoryRegion(anonymous: 8) else { return [] }
    let bytes = memory.slice.slice(at: 0, count: 8)
    var table = ScatterTable(capacity: 1)
    _ = table.append(bytes)
    _ = try? transfer(.read, file: file.number, memory: table.list, offset: offset)
    return bytes.bytes()
  }

  /// Gives the open file away.
  consuming func releaseFile() -> OwnedDescriptor { file }

  /// A second open file of the same file, even if the path names another one by now.
  func reopen(direct: Bool, exclusive: Bool) throws(Errno) -> OwnedDescriptor {
    let flags = (isReadOnly ? 0 : readWriteFlag) | (exclusive ? exclusiveFlag : 0)
    let again = "/proc/self/fd/\(file.number)"
    return direct
      ? try OwnedDescriptor.openDirect(again, flags: flags) : try OwnedDescriptor.open(again, flags: flags)
  }
}

/// O_RDWR, O_EXCL and O_NONBLOCK, which are the same on all Linux architectures that Swift runs on.
private let readWriteFlag: Int32 = 2
private let exclusiveFlag: Int32 = 0o200
private let nonBlockingFlag: Int32 = 0o4000
