import Block
import CLinux
import DiskFS
import LinuxIO
import Testing

/// Every test mounts for real: it needs root and /dev/fuse. One at a time, so that descriptors can be counted.
@Suite(.serialized)
enum RealMounts {}

extension RealMounts {
  @Suite(.serialized)
  struct DiskFSTests {
    @Test func showsTheTree() throws {
      let partitions = [
        DiskPartition(name: "p1", offset: 1 << 20, byteCount: 1 << 20),
        DiskPartition(name: "p7", offset: 4 << 20, byteCount: 3 << 20),
      ]
      let disk = try MountedDisk(partitions: partitions, info: #"{"name":"disk0"}"#)
      #expect(names(in: disk.directory) == ["info.json", "p1", "p7", "whole"])
      let whole = try disk.open("whole", O_RDWR).status
      #expect(whole.st_size == 8 << 20)
      #expect(whole.st_mode == 0o100600)
      #expect(try disk.open("p7", O_RDONLY).status.st_size == 3 << 20)
      let info = try disk.open("info.json", O_RDONLY)
      #expect(try info.read(100, at: 0) == Array(#"{"name":"disk0"}"#.utf8))
      #expect(try info.read(4, at: 2) == Array("name".utf8))
      #expect(try info.read(4, at: 99).isEmpty)
      #expect(throws: Errno.ENOENT) { _ = try disk.open("p2", O_RDONLY) }
      let mounted = try mountTable().last { $0.target == disk.directory }
      #expect(mounted?.type == "fuse.synthgate")
      #expect(filesystemByteCount(disk.directory) == 8 << 20)
    }

    @Test func partitionsShowTheirBytes() throws {
      let disk = try MountedDisk(partitions: [DiskPartition(name: "p1", offset: 1 << 20, byteCount: 1 << 20)])
      var generator = Generator(state: 1)
      let bytes = generator.bytes(8192)
      let whole = try disk.open("whole", O_RDWR)
      let first = try disk.open("p1", O_RDWR | O_DIRECT)
      #expect(try whole.write(bytes, at: (1 << 20) + 4096) == 8192)
      #expect(try first.read(8192, at: 4096) == bytes)
      #expect(try first.write(bytes, at: 65536) == 8192)
      #expect(try whole.read(8192, at: (1 << 20) + 65536) == bytes)
      // Nothing of a partition reaches beyond it.
      #expect(try first.read(8192, at: (1 << 20) - 4096).count == 4096)
      #expect(try first.write(bytes, at: (1 << 20) - 4096) == 4096)
      #expect(try whole.read(4096, at: 2 << 20) == [UInt8](repeating: 0, count: 4096))
    }

    @Test func behavesLikeABlockDeviceAtItsEnd() throws {
      let disk = try MountedDisk(byteCount: 1 << 20)
      let file = try disk.open("whole", O_RDWR)
      #expect(try file.read(4096, at: 1 << 20).isEmpty)
      #expect(try file.read(4096, at: (1 << 20) - 10).count == 10)
      #expect(try file.write([1, 2, 3, 4], at: (1 << 20) - 2) == 2)
      #expect(throws: Errno.ENOSPC) { try file.write([1], at: 1 << 20) }
      try file.truncate(to: 0)
      #expect(try file.status.st_size == 1 << 20)
      #expect(try file.read(2, at: (1 << 20) - 2) == [1, 2])
      let truncating = try disk.open("whole", O_RDWR | O_TRUNC)
      #expect(try truncating.status.st_size == 1 << 20)
      #expect(try truncating.read(2, at: (1 << 20) - 2) == [1, 2])
      #expect(try file.seek(0, SEEK_END) == 1 << 20)
    }

    @Test func refusesToChangeNames() throws {
      let disk = try MountedDisk()
      #expect(throws: Errno.EPERM) { _ = try disk.open("new", O_RDWR | O_CREAT) }
      #expect(unlink(disk.path("whole")) == -1 && synthgate_errno() == EPERM)
      #expect(renameError(disk.path("whole"), disk.path("other")) == EPERM)
      #expect(mkdir(disk.path("d"), 0o700) == -1 && synthgate_errno() == EPERM)
      #expect(chmod(disk.path("whole"), 0o666) == -1 && synthgate_errno() == EPERM)
      #expect(symlink("x", disk.path("l")) == -1 && synthgate_errno() == EPERM)
      #expect(link(disk.path("whole"), disk.path("l")) == -1 && synthgate_errno() == EPERM)
      #expect(names(in: disk.directory) == ["info.json", "whole"])
    }

    @Test(arguments: [true, false])
    func readOnly(byDevice: Bool) throws {
      var options = DiskFSOptions()
      options.isReadOnly = !byDevice
      let disk = try MountedDisk(options: options) { $0.isReadOnly = byDevice }
      #expect(throws: Errno.EROFS) { _ = try disk.open("whole", O_RDWR) }
      #expect(throws: Errno.EROFS) { _ = try disk.open("info.json", O_WRONLY) }
      let file = try disk.open("whole", O_RDONLY)
      #expect(try file.status.st_mode == 0o100400)
      #expect(try file.read(4096, at: 0).count == 4096)
      try file.sync()
    }

    @Test func unalignedReadsOfAnAlignedDevice() throws {
      let disk = try MountedDisk(byteCount: 4 << 20) {
        $0.sectorByteCount = 4096
        $0.requestAlignment = 4096
        $0.maximumTransferByteCount = 1 << 20
      }
      var generator = Generator(state: 2)
      let bytes = generator.bytes(4 << 20)
      let file = try disk.open("whole", O_RDWR)
      for start in stride(from: 0, to: 4 << 20, by: 1 << 20) {
        #expect(try file.write(Array(bytes[start..<(start + (1 << 20))]), at: start) == 1 << 20)
      }
      for _ in 0..<300 {
        let offset = generator.below(4 << 20)
        let count = 1 + generator.below(generator.below(4) == 0 ? 3 << 20 : 10_000)
        let expected = bytes[offset..<min(offset + count, bytes.count)]
        #expect(try file.read(count, at: offset) == Array(expected))
      }
      #expect(throws: Errno.EINVAL) { try file.write([1], at: 5) }
    }

    @Test func longRequestsAreSplit() throws {
      // The kernel is told the limit, so that only what alignment adds is split here; 1 KiB sectors, 5000 bytes at once.
      let disk = try MountedDisk(byteCount: 1 << 20) {
        $0.requestAlignment = 512
        $0.maximumTransferByteCount = 4096
      }
      var generator = Generator(state: 3)
      let bytes = generator.bytes(1 << 20)
      let file = try disk.open("whole", O_RDWR)
      #expect(try file.write(bytes, at: 0) == bytes.count)
      #expect(disk.device.contents.bytes() == bytes)
      #expect(try file.read(100_001, at: 777) == Array(bytes[777..<100_778]))
    }

    @Test func errorsComeOutAsTheirErrno() throws {
      var faults = MemoryBlockDevice.Faults()
      faults.failingOperations = [
        .read: .medium, .write: .noSpace, .flush: .gone, .discard: .timedOut, .writeZeroes: .reserved, .extent: .failed,
      ]
      let disk = try MountedDisk(faults: faults)
      let file = try disk.open("whole", O_RDWR)
      #expect(throws: Errno.EIO) { try file.read(4096, at: 0) }
      #expect(throws: Errno.ENOSPC) { try file.write([1], at: 0) }
      #expect(throws: Errno.ENODEV) { try file.sync() }
      #expect(throws: Errno.ETIMEDOUT) { try file.allocate(3, at: 0, count: 4096) }
      #expect(throws: Errno.EBADE) { try file.allocate(0x11, at: 0, count: 4096) }
      #expect(throws: Errno.EIO) { try file.seek(0, 3) }
      #expect(disk.counters { $0.errors == 6 }.errors == 6)
    }

    @Test func holes() throws {
      let disk = try MountedDisk(
        byteCount: 1 << 20, partitions: [DiskPartition(name: "p1", offset: 65536, byteCount: 65536)])
      let file = try disk.open("p1", O_RDWR)
      let ones = [UInt8](repeating: 1, count: 8192)
      #expect(throws: Errno.ENXIO) { try file.seek(0, 3) }
      #expect(try file.seek(0, 4) == 0)
      try file.write(ones, at: 16384)
      #expect(try file.seek(0, 3) == 16384)
      #expect(try file.seek(16384, 4) == 24576)
      #expect(try file.seek(20000, 3) == 20000)
      #expect(throws: Errno.ENXIO) { try file.seek(24576, 3) }
      try file.allocate(3, at: 16384, count: 4096)
      #expect(try file.read(8192, at: 16384) == [UInt8](repeating: 0, count: 4096) + ones.prefix(4096))
      try file.allocate(0x11, at: 20480, count: 100)
      #expect(try file.read(200, at: 20480) == [UInt8](repeating: 0, count: 100) + ones.prefix(100))
      try file.write(ones, at: 65536 - 8192)
      #expect(try file.seek(65536 - 8192, 4) == 65536)
      // A hole reaches to the end of the partition at most, and not into the bytes behind it.
      try disk.open("whole", O_RDWR).write(ones, at: 131072)
      try file.allocate(3, at: 65536 - 4096, count: 1 << 20)
      #expect(try disk.open("whole", O_RDONLY).read(8192, at: 131072) == ones)
      #expect(throws: Errno.EOPNOTSUPP) { try file.allocate(0, at: 0, count: 4096) }
      #expect(throws: Errno.EOPNOTSUPP) { try file.allocate(8, at: 0, count: 4096) }
    }

    @Test func punchingAHoleIsRefusedWhereItWouldNotReadAsZeros() throws {
      let disk = try MountedDisk {
        $0.discardReadsZero = false
        $0.supportsWriteZeroes = false
      }
      let file = try disk.open("whole", O_RDWR)
      #expect(throws: Errno.EOPNOTSUPP) { try file.allocate(3, at: 0, count: 4096) }
    }

    @Test func partitionsAndInfoCanChange() throws {
      let disk = try MountedDisk(partitions: [DiskPartition(name: "p1", offset: 0, byteCount: 1 << 20)])
      let kept = try disk.open("p1", O_RDONLY)
      let inode = try kept.status.st_ino
      disk.filesystem.setInfo(Array("{ }".utf8))
      #expect(try disk.open("info.json", O_RDONLY).read(10, at: 0) == Array("{ }".utf8))
      try disk.filesystem.setPartitions([DiskPartition(name: "p2", offset: 0, byteCount: 4096)])
      #expect(names(in: disk.directory) == ["info.json", "p2", "whole"])
      #expect(throws: Errno.ENOENT) { _ = try disk.open("p1", O_RDONLY) }
      #expect(throws: Errno.ENODEV) { try kept.read(10, at: 0) }
      try disk.filesystem.setPartitions([DiskPartition(name: "p1", offset: 0, byteCount: 8192)])
      let again = try disk.open("p1", O_RDONLY).status
      #expect(again.st_ino == inode)
      #expect(again.st_size == 8192)
      for wrong in [
        DiskPartition(name: "whole", offset: 0, byteCount: 1), DiskPartition(name: "", offset: 0, byteCount: 1),
        DiskPartition(name: "a/b", offset: 0, byteCount: 1), DiskPartition(name: "p", offset: 8 << 20, byteCount: 1),
        DiskPartition(name: "p", offset: .max, byteCount: .max),
      ] {
        #expect(throws: DiskFSError.partition(wrong.name)) { try disk.filesystem.setPartitions([wrong]) }
      }
    }

    @Test func resize() throws {
      let disk = try MountedDisk()
      let file = try disk.open("whole", O_RDWR)
      disk.device.setInfo { $0.byteCount = 1 << 20 }
      disk.filesystem.deviceChanged()
      #expect(try file.status.st_size == 1 << 20)
      #expect(throws: Errno.ENOSPC) { try file.write([1], at: 1 << 20) }
      disk.device.setInfo { $0.byteCount = 4 << 20 }
      disk.filesystem.deviceChanged()
      #expect(try file.status.st_size == 4 << 20)
      #expect(try file.seek(0, SEEK_END) == 4 << 20)
    }

    @Test func sharedMappings() throws {
      let disk = try MountedDisk(byteCount: 1 << 20)
      let file = try disk.open("whole", O_RDWR)
      try file.write([7, 8, 9], at: 8192)
      let mapped = mmap(nil, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file.owned.number, 0)
      // FUSE_DIRECT_IO_ALLOW_MMAP came with Linux 6.6.
      try #require(mapped != UnsafeMutableRawPointer(bitPattern: -1))
      #expect(mapped!.load(fromByteOffset: 8193, as: UInt8.self) == 8)
      mapped!.storeBytes(of: 42, toByteOffset: 8194, as: UInt8.self)
      #expect(msync(mapped, 1 << 20, MS_SYNC) == 0)
      #expect(try file.read(3, at: 8192) == [7, 8, 42])
      munmap(mapped, 1 << 20)
    }
  }
}
