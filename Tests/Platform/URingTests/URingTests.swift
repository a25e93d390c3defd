import LinuxIO
import SharedMemory
import Testing
import URing

@Suite struct URingTests {
  private func memoryFile() throws -> (MemoryFile, MemoryRegion) {
    let file = try MemoryFile(name: "uring", byteCount: 65536)
    return (file, try MemoryRegion(sharing: file))
  }

  private func wait(_ ring: URing) throws -> (userData: UInt64, result: Int32) {
    for _ in 0..<100 {
      // A wait that ends with nothing was interrupted, which io_uring does to post its completions.
      guard waitForInput([ring.descriptor], milliseconds: 500) != 0 else { continue }
      if let completion = ring.takeCompletion() { return completion }
    }
    throw Errno.ETIMEDOUT
  }

  @Test(arguments: [false, true]) func transfers(registered: Bool) throws {
    let (file, region) = try memoryFile()
    let ring = try URing(depth: 4)
    if registered { try ring.registerFiles([file.descriptor]) }
    let target: URing.File = registered ? .registered(0) : .descriptor(file.descriptor)
    let memory = try MemoryRegion(anonymous: 8192)
    memory.slice.slice(at: 0, count: 100).fill(7)
    memory.slice.slice(at: 4096, count: 50).fill(9)
    var table = ScatterTable(capacity: 2)
    let fits1 = table.append(memory.slice.slice(at: 0, count: 100))
    #expect(fits1)
    let fits2 = table.append(memory.slice.slice(at: 4096, count: 50))
    #expect(fits2)
    try ring.prepare(.write, file: target, memory: table.list, offset: 1000, userData: .max)
    #expect(ring.takeCompletion() == nil && ring.inFlightCount == 1)
    try ring.submit()
    var end = try wait(ring)
    #expect(end.userData == .max && end.result == 150 && ring.inFlightCount == 0)
    #expect(
      region.slice.slice(at: 999, count: 152).bytes() == [0] + .init(repeating: 7, count: 100)
        + .init(repeating: 9, count: 50) + [0])
    memory.slice.fill(0)
    try ring.prepare(.read, file: target, memory: table.list, offset: 1050, userData: 5)
    try ring.submit()
    end = try wait(ring)
    #expect(end.result == 150 && memory.slice.loadLE64(at: 0) == 0x0707_0707_0707_0707)
    #expect(memory.slice.slice(at: 4096, count: 8).bytes() == [UInt8](repeating: 0, count: 8))
    // Reading at the end of the file is short.
    try ring.prepare(.read, file: target, memory: table.list, offset: 65436, userData: 6)
    try ring.submit()
    #expect(try wait(ring).result == 100)
  }

  @Test func otherOperations() throws {
    let (file, region) = try memoryFile()
    let ring = try URing(depth: 4)
    region.slice.fill(1)
    try ring.prepareAllocate(.punchHole, file: .descriptor(file.descriptor), offset: 4096, byteCount: 4096, userData: 1)
    try ring.submit()
    #expect(try wait(ring).result == 0)
    #expect(region.slice.loadLE64(at: 4096) == 0 && region.slice.loadLE64(at: 8192) != 0)
    try ring.prepareSync(file: .descriptor(file.descriptor), userData: 2)
    try ring.prepareNoOperation(userData: 3)
    try ring.submit()
    #expect(Set([try wait(ring).userData, try wait(ring).userData]) == [2, 3])
    try ring.prepareSync(file: .descriptor(-1), userData: 4)
    try ring.submit()
    #expect(try wait(ring).result == -Errno.EBADF.rawValue)
    #expect(waitForInput([ring.descriptor], milliseconds: 0) == 0)
  }

  /// More operations than the ring takes are refused, none is lost.
  @Test func refusesTooMany() throws {
    let ring = try URing(depth: 4)
    var count: UInt64 = 0
    var seen = Set<UInt64>()
    for _ in 0..<50 {
      do throws(Errno) {
        try ring.prepareNoOperation(userData: count)
        count += 1
      } catch {
        #expect(error == .EBUSY)
        try ring.submit()
      }
    }
    try ring.submit()
    while let end = ring.takeCompletion() { seen.insert(end.userData) }
    #expect(count >= 4 && seen == Set(0..<count))
  }

  @Test func endsWithOperationsInFlight() throws {
    let (file, _) = try memoryFile()
    let memory = try MemoryRegion(anonymous: 4096)
    var tables = ScatterTables(count: 1)
    for sent in [true, false] {
      let ring = try URing(depth: 2)
      try ring.prepare(
        .read, file: .descriptor(file.descriptor), memory: tables.list(of: memory.slice, slot: 0), offset: 0,
        userData: 0)
      if sent { try ring.submit() }
    }
  }

  @Test func transfersAtOnce() throws {
    let (file, region) = try memoryFile()
    let memory = try MemoryRegion(anonymous: 4096)
    memory.slice.fill(3)
    var tables = ScatterTables(count: 1)
    let list = tables.list(of: memory.slice, slot: 0)
    #expect(try transfer(.write, file: file.descriptor, memory: list, offset: 0, flags: .dataSync) == 4096)
    try transferRest(.write, file: file.descriptor, memory: list, skip: 4000, offset: 10_000)
    #expect(region.slice.slice(at: 13_999, count: 98).bytes() == [0] + [UInt8](repeating: 3, count: 96) + [0])
    #expect(throws: Errno.ENODATA) {
      try transferRest(.read, file: file.descriptor, memory: list, skip: 0, offset: 65000)
    }
  }
}
