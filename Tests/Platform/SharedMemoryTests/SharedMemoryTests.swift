import LinuxIO
import SharedMemory
import Testing

@Suite struct SharedMemoryTests {
  @Test func fileIsSharedAndCannotShrink() throws {
    let file = try MemoryFile(name: "shared", byteCount: 5000)
    #expect(file.byteCount == 8192)
    let a = try MemoryRegion(sharing: file)
    let second = try OwnedDescriptor.open("/proc/self/fd/\(file.descriptor)", flags: 2)
    #expect(throws: Errno.EPERM) { try second.truncate(to: 4096) }
    let b = try MemoryRegion(sharing: MemoryFile(adopting: second))
    a.slice.storeLE64(0x0102_0304_0506_0708, at: 8)
    #expect(b.slice.loadLE64(at: 8) == 0x0102_0304_0506_0708)
    #expect(b.slice.slice(at: 8, count: 3).bytes() == [8, 7, 6])
    #expect(throws: Errno.EINVAL) { _ = try MemoryFile(adopting: OwnedDescriptor.open("/dev/null", flags: 2)) }
  }

  @Test func pagesAreMappedInAnyOrder() throws {
    let file = try MemoryFile(name: "pages", byteCount: 5 * 4096)
    let whole = try MemoryRegion(sharing: file)
    for page in 0..<5 { whole.slice.storeLE64(UInt64(page), at: page * 4096) }
    let order = [3, 4, 0, 0, 2]
    let pages = try MemoryRegion(sharing: order, of: file)
    #expect((0..<5).map { Int(pages.slice.loadLE64(at: $0 * 4096)) } == order)
    #expect(throws: Errno.EINVAL) { _ = try MemoryRegion(sharing: [5], of: file) }
    #expect(throws: Errno.EINVAL) { _ = try MemoryRegion(sharing: [-1], of: file) }
    #expect(throws: Errno.EINVAL) { _ = try MemoryRegion(sharing: [], of: file) }
  }

  @Test func slicesCopyAndFill() throws {
    let region = try MemoryRegion(anonymous: 1)
    let slice = region.slice
    #expect(slice.byteCount == 4096 && slice.address % 4096 == 0 && slice.bytes().allSatisfy { $0 == 0 })
    slice.copyIn(([1, 2, 3, 4] as [UInt8]).span.bytes, at: 10)
    slice.copyIn(slice.slice(at: 10, count: 4), at: 12)
    #expect(slice.slice(at: 9, count: 8).bytes() == [0, 1, 2, 1, 2, 3, 4, 0])
    var out = [UInt8](repeating: 9, count: 3)
    var span = out.mutableSpan
    var raw = span.mutableBytes
    slice.copyOut(from: 12, into: &raw)
    #expect(out == [1, 2, 3])
    #expect(
      slice.dropFirst(4096).byteCount == 0 && slice.slice(at: 1, count: 2) == slice.dropFirst(1).slice(at: 0, count: 2))
    slice.slice(at: 11, count: 2).fill(0xff)
    #expect(slice.slice(at: 10, count: 4).bytes() == [1, 0xff, 0xff, 2])
    let word = slice.word32(at: 100)
    word.storeReleasing(0b1100)
    #expect(word.setBits(0b0011) == 0b1100 && word.clearBits(0b0100) == 0b1111 && word.exchange(5) == 0b1011)
    #expect(word.loadAcquiring() == 5 && word.loadRelaxed() == 5)
  }

  @Test func accessOutsideTraps() async {
    await #expect(processExitsWith: .failure) { _ = try MemoryRegion(anonymous: 1).slice.slice(at: 4000, count: 97) }
    await #expect(processExitsWith: .failure) { _ = try MemoryRegion(anonymous: 1).slice.slice(at: 1, count: .max) }
    await #expect(processExitsWith: .failure) { _ = try MemoryRegion(anonymous: 1).slice.loadLE64(at: 4) }
    await #expect(processExitsWith: .failure) { _ = try MemoryRegion(anonymous: 1).slice.word32(at: 4096) }
    await #expect(processExitsWith: .failure) {
      try MemoryRegion(anonymous: 1).slice.copyIn(([1, 2] as [UInt8]).span.bytes, at: 4095)
    }
  }

  /// Any cut of a list into copies gives the same bytes as the concatenation of its pieces.
  @Test func scatterListsAgreeWithArrays() throws {
    let region = try MemoryRegion(anonymous: 16384)
    var random = SystemRandomNumberGenerator()
    for round in 0..<300 {
      var table = ScatterTable(capacity: 8)
      var model: [UInt8] = []
      // Ascending, with a gap now and then, so that pieces do not overlap.
      var position = 0
      var pieceCount = 0
      var hadGap = true
      while position < 16000, table.list.count < 8 {
        let count = Int.random(in: 0...600, using: &random)
        let gap = Int.random(in: 0...1, using: &random) * 50
        guard position + gap + count <= 16384 else { break }
        if gap > 0 { hadGap = true }
        position += gap
        let before = table.list.count
        guard table.append(region.slice.slice(at: position, count: count)) else { break }
        if count > 0 {
          // A neighbour is joined, anything else is a piece of its own.
          let after = table.list.count
          #expect(after == before + (hadGap ? 1 : 0))
          pieceCount += hadGap ? 1 : 0
          hadGap = false
        }
        model += [UInt8](repeating: 0, count: count)
        position += count
      }
      region.slice.fill(0)
      let list = table.list
      #expect(list.byteCount == model.count && list.count == pieceCount)
      for _ in 0..<6 {
        let start = Int.random(in: 0...model.count, using: &random)
        let count = Int.random(in: 0...(model.count - start), using: &random)
        if round % 3 == 2 {
          list.zero(from: start, count: count)
          model.replaceSubrange(start..<(start + count), with: repeatElement(0, count: count))
        } else {
          let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
          list.copyIn(bytes.span.bytes, at: start)
          model.replaceSubrange(start..<(start + count), with: bytes)
        }
        var out = [UInt8](repeating: 0, count: model.count - start)
        var span = out.mutableSpan
        var raw = span.mutableBytes
        list.copyOut(from: start, into: &raw)
        #expect(out == Array(model[start...]))
      }
      #expect((0..<list.count).flatMap { list[$0].bytes() } == model)
      table.removeAll()
      let none = table.list
      #expect(none.count == 0 && none.byteCount == 0)
    }
  }

  /// Pieces that leave in front and come behind, past the end of the table's memory.
  @Test func slidingTable() throws {
    let region = try MemoryRegion(anonymous: 4096)
    let pieces = (0..<16).map { region.slice.slice(at: $0 * 64, count: 32 + $0) }
    var table = ScatterTable(capacity: 4)
    for piece in pieces[..<3] {
      let fits = table.append(piece)
      #expect(fits)
    }
    for next in 3..<16 {
      let fits = table.append(pieces[next])
      #expect(fits)
      table.removeFirst(1)
      let list = table.list
      #expect((0..<list.count).map { list[$0] } == Array(pieces[(next - 2)...next]))
      #expect(list.byteCount == pieces[(next - 2)...next].reduce(0) { $0 + $1.byteCount })
    }
    table.removeFirst(3)
    let none = table.list
    #expect(none.count == 0 && none.byteCount == 0)
  }

  @Test func fullTableRefuses() throws {
    let slice = try MemoryRegion(anonymous: 4096)
    var table = ScatterTable(capacity: 1)
    let fits1 = table.append(slice.slice.slice(at: 0, count: 10))
    #expect(fits1)
    let fits2 = table.append(slice.slice.slice(at: 10, count: 10))
    #expect(fits2)
    let fits3 = table.append(slice.slice.slice(at: 30, count: 10))
    #expect(!fits3)
    let fits4 = table.append(slice.slice.slice(at: 30, count: 0))
    #expect(fits4)
    let list = table.list
    #expect(list.count == 1 && list.byteCount == 20)
  }
}
