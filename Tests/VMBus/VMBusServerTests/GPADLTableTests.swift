import LinuxIO
import SharedMemory
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusProtocol
@testable import VMBusServer

/// Mapping page lists of a guest, from other threads than the one that hears the guest.
@Suite struct GPADLTableTests {
  final class Log: Sendable {
    let keys = Mutex<[GPADLKey]>([])
    var all: [GPADLKey] { keys.withLock { $0 } }
  }

  let log = Log()
  let table: GPADLTable
  let shared: SharedGuestMemory

  init() throws {
    let file = try MemoryFile(name: "gpadl-table", byteCount: 64 * 4096)
    shared = try SharedGuestMemory(file: file, guestAddress: 0x10_0000)
    let log = log
    table = GPADLTable(memory: shared.memory, files: [(0x10_0000, file)]) { key in log.keys.withLock { $0.append(key) }
    }
  }

  func publish(_ number: UInt64, gpadl: UInt32, device: UInt64 = 1, _ ranges: [GPADLRange]) -> GPADLKey {
    let key = GPADLKey(number: number)
    table.publish(
      PublishedGPADL(key: key, gpadl: gpadl, device: DeviceKey(number: device), ranges: ranges))
    return key
  }

  func map(_ gpadl: UInt32, device: UInt64 = 1) throws -> GPADLMapping {
    try table.map(gpadl, of: DeviceKey(number: device))
  }

  @Test func contiguousAndScattered() throws {
    _ = publish(1, gpadl: 5, [GPADLRange(pages: [0x101, 0x102])])
    _ = publish(2, gpadl: 6, [GPADLRange(pages: [0x105, 0x103])])
    let whole = shared.memory.ranges[0].region.slice
    #expect(try map(5).slice == whole.slice(at: 4096, count: 8192))
    let mapping = try map(6)
    whole.slice(at: 5 * 4096, count: 1).fill(0xab)
    whole.slice(at: 3 * 4096, count: 1).fill(0xcd)
    #expect(mapping.slice.bytes()[0] == 0xab && mapping.slice.bytes()[4096] == 0xcd)
  }

  @Test func refusals() throws {
    _ = publish(1, gpadl: 5, [GPADLRange(pages: [0x101]), GPADLRange(pages: [0x102])])
    _ = publish(2, gpadl: 6, [GPADLRange(byteCount: 4096, byteOffset: 8, pages: [0x101, 0x102])])
    _ = publish(3, gpadl: 7, device: 2, [GPADLRange(pages: [0x101])])
    for gpadl: UInt32 in [1, 5, 6, 7] {
      #expect(throws: ChannelError.self) { try map(gpadl) }
    }
    #expect(try map(7, device: 2).slice.byteCount == 4096)
    #expect(table.withdraw(GPADLKey(number: 1)))
    #expect(log.all.isEmpty)
  }

  @Test func revocation() throws {
    let key = publish(1, gpadl: 5, [GPADLRange(pages: [0x101])])
    var first: GPADLMapping? = try map(5)
    let told = EventLog()
    do {
      let second = try map(5)
      second.observeRevocation { told.add("second") }
      #expect(!table.withdraw(key))
      #expect(second.isRevoked && first?.isRevoked == true && told.all == ["second"])
      first?.observeRevocation { told.add("first") }
      #expect(told.all == ["second", "first"])
      #expect(throws: ChannelError.self) { try map(5) }
      #expect(log.all.isEmpty)
    }
    #expect(log.all.isEmpty)
    first = nil
    #expect(log.all == [key])
  }

  /// The number comes again while the old list is still mapped.
  @Test func sameNumberAgain() throws {
    let old = publish(1, gpadl: 5, [GPADLRange(pages: [0x101])])
    var mapping: GPADLMapping? = try map(5)
    #expect(!table.withdraw(old))
    let new = publish(2, gpadl: 5, [GPADLRange(pages: [0x102])])
    let other = try map(5)
    #expect(!other.isRevoked && mapping?.isRevoked == true)
    mapping = nil
    #expect(log.all == [old])
    #expect(!table.withdraw(new))
  }

  @Test func threads() throws {
    let key = publish(1, gpadl: 5, [GPADLRange(pages: [0x101])])
    let table = table
    let threads = try (0..<3).map { index in
      try WorkerThread(name: "map-\(index)") {
        for _ in 0..<2000 { _ = try? table.map(5, of: DeviceKey(number: 1)) }
      }
    }
    sleepThread(nanoseconds: 2_000_000)
    let isUnused = table.withdraw(key)
    for thread in threads { thread.join() }
    #expect(log.all.count == (isUnused ? 0 : 1))
  }
}
