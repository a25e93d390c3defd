import Block
import CLinux
import DiskFS
import LinuxIO
import Testing

/// A disk in memory, shown in a directory of its own, that is gone with this object whatever the test did.
final class MountedDisk {
  let device: MemoryBlockDevice
  let directory: String
  let filesystem: DiskFS

  init(
    byteCount: Int = 8 << 20, partitions: [DiskPartition] = [], info json: String = "{}",
    options: DiskFSOptions = DiskFSOptions(), faults: MemoryBlockDevice.Faults? = nil,
    configure: (inout BlockDeviceInfo) -> Void = { _ in }
  ) throws {
    device = try MemoryBlockDevice(byteCount: byteCount)
    device.setInfo(configure)
    if let faults { device.setFaults(faults) }
    directory = try makeTemporaryDirectory()
    filesystem = try DiskFS(
      device: device, partitions: partitions, infoJSON: Array(json.utf8), mountPoint: directory, options: options)
    try filesystem.start()
  }

  deinit {
    filesystem.stop()
    rmdir(directory)
  }

  /// The counters once they satisfy `condition`, or after two seconds: a worker publishes them before it sleeps, which is
  /// after it has answered.
  func counters(when condition: (DiskFSCounters) -> Bool) -> DiskFSCounters {
    for _ in 0..<2000 where !condition(filesystem.counters) { usleep(1000) }
    return filesystem.counters
  }

  func path(_ name: String) -> String { "\(directory)/\(name)" }

  func open(_ name: String, _ flags: Int32) throws -> File {
    try File(path(name), flags)
  }
}

/// An open file, with the errno of what fails.
struct File: ~Copyable {
  let owned: OwnedDescriptor

  init(_ path: String, _ flags: Int32) throws(Errno) {
    owned = try OwnedDescriptor.open(path, flags: flags)
  }

  func read(_ count: Int, at offset: Int) throws -> [UInt8] {
    // Aligned to a page, for O_DIRECT.
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: count + 4096, alignment: 4096)
    defer { buffer.deallocate() }
    let done = pread(owned.number, buffer, count, offset)
    if done < 0 { throw Errno(rawValue: synthgate_errno()) }
    return Array(UnsafeRawBufferPointer(start: buffer, count: done))
  }

  @discardableResult
  func write(_ bytes: [UInt8], at offset: Int) throws -> Int {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: bytes.count + 4096, alignment: 4096)
    defer { buffer.deallocate() }
    buffer.copyMemory(from: bytes, byteCount: bytes.count)
    let done = pwrite(owned.number, buffer, bytes.count, offset)
    if done < 0 { throw Errno(rawValue: synthgate_errno()) }
    return done
  }

  func sync() throws {
    if fsync(owned.number) < 0 { throw Errno(rawValue: synthgate_errno()) }
  }

  func allocate(_ mode: Int32, at offset: Int, count: Int) throws {
    if fallocate(owned.number, mode, offset, count) < 0 { throw Errno(rawValue: synthgate_errno()) }
  }

  func seek(_ offset: Int, _ whence: Int32) throws -> Int {
    let position = lseek(owned.number, offset, whence)
    if position < 0 { throw Errno(rawValue: synthgate_errno()) }
    return position
  }

  func truncate(to count: Int) throws {
    if ftruncate(owned.number, count) < 0 { throw Errno(rawValue: synthgate_errno()) }
  }

  var status: stat {
    get throws {
      var value = stat()
      if fstat(owned.number, &value) < 0 { throw Errno(rawValue: synthgate_errno()) }
      return value
    }
  }
}

/// SplitMix64.
struct Generator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}
