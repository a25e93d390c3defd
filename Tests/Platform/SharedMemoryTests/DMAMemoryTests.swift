import LinuxIO
import Testing

@testable import SharedMemory

@Suite(.serialized) struct DMAMemoryTests {
  private func overcommit() throws -> String {
    try readTextFile("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages")
  }

  @Test func pagemapEntry() {
    let entry = PagemapEntry(rawValue: 0x8180_0000_0001_2345)
    #expect(entry.isPresent && entry.page == 0x12345)
    #expect(!PagemapEntry(rawValue: 0x12345).isPresent)
  }

  @Test func smallPagesArePinnedAndNumbered() throws {
    let memory = try DMAMemory(byteCount: 1 << 20, kinds: [.smallPages])
    #expect(memory.kind == .smallPages && memory.region.byteCount == 1 << 20)
    #expect(memory.pages.count == 256 && Set(memory.pages).count == 256 && !memory.pages.contains(0))
    #expect(memory.region.slice.bytes().allSatisfy { $0 == 0 })
    let pinned = try readTextFile("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("VmPin:") }
    // VmPin: 1024 kB at least.
    let kilobytes = pinned.flatMap { line in Int(line.filter(\.isNumber)) } ?? 0
    #expect(kilobytes >= 1024)
    memory.region.slice.fill(7)
    #expect(try DMAMemory.pageNumbers(of: memory.region.slice) == memory.pages)
    #expect((1...256).contains(memory.runCount))
  }

  @Test func hugePagesAreContiguousAndLeaveTheLimitAsItWas() throws {
    let before = try overcommit()
    let memory = try DMAMemory(byteCount: 3 << 20)
    #expect(try overcommit() == before)
    guard memory.kind == .hugePages else {
      // A machine whose memory is in pieces gives small pages; these are tested above.
      #expect(memory.region.byteCount == 3 << 20)
      return
    }
    #expect(memory.region.byteCount == 4 << 20)
    for start in [0, 512] {
      let run = memory.pages[start..<(start + 512)]
      #expect(run.first! % 512 == 0 && run.elementsEqual(run.first!..<(run.first! + 512)))
    }
    #expect(memory.runCount <= 2)
  }

  @Test func whatIsNotThereHasNoNumber() throws {
    let region = try MemoryRegion(anonymous: 2 * 4096)
    region.slice.slice(at: 0, count: 4096).fill(1)
    #expect(try DMAMemory.pageNumbers(of: region.slice.slice(at: 0, count: 4096)).count == 1)
    #expect(throws: Errno.ENXIO) { try DMAMemory.pageNumbers(of: region.slice) }
    #expect(throws: Errno.EINVAL) { try DMAMemory.pageNumbers(of: region.slice.dropFirst(8)) }
  }
}
