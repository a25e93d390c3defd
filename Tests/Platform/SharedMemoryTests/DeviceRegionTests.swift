import LinuxIO
import SharedMemory
import Synchronization
import Testing

/// Mappings whose memory vanishes, as the rings of a device do that is taken away. A file that is cut stands for it.
@Suite struct DeviceRegionTests {
  private func file(_ name: String) throws -> OwnedDescriptor {
    // O_RDWR | O_CREAT | O_EXCL
    try OwnedDescriptor.open("/dev/shm/synthgate-region-\(ownProcess())-\(name)", flags: 2 | 0o100 | 0o200)
  }

  private func remove(_ name: String) {
    try? removeFile("/dev/shm/synthgate-region-\(ownProcess())-\(name)")
  }

  @Test func vanishedMemoryReadsAsZeros() throws {
    let file = try file("zeros")
    defer { remove("zeros") }
    try file.truncate(to: 3 * 4096)
    let region = try MemoryRegion(device: file.number, byteCount: 2 * 4096, offset: 4096)
    region.slice.fill(7)
    #expect(try readBytes(file.number, at: 4096, count: 1) == [7])
    try file.truncate(to: 0)
    #expect(region.slice.slice(at: 4096, count: 4).bytes() == [0, 0, 0, 0])
    region.slice.fill(9)
    #expect(region.slice.slice(at: 0, count: 2).bytes() == [9, 9])
  }

  @Test func alsoOnWorkerThreads() throws {
    let file = try file("worker")
    defer { remove("worker") }
    try file.truncate(to: 4096)
    let region = try MemoryRegion(device: file.number, byteCount: 4096, offset: 0)
    region.slice.fill(7)
    try file.truncate(to: 0)
    let found = Atomic<UInt64>(1)
    try withExtendedLifetime(region) {
      let slice = region.slice
      let thread = try WorkerThread(name: "vanished") { found.store(slice.loadLE64(at: 8), ordering: .releasing) }
      thread.join()
    }
    #expect(found.load(ordering: .acquiring) == 0)
  }
}
