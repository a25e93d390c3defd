import Ethernet
import SharedMemory
import TestVectors
import Testing
import WireBytes

/// Sums and copies over memory in pieces.
@Suite struct ScatteredSumTests {
  @Test(arguments: 0..<16) func pieces(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed))
    let region = try MemoryRegion(anonymous: 1 << 16)
    let copied = try MemoryRegion(anonymous: 1 << 16)
    for _ in 0..<50 {
      var table = ScatterTable(capacity: 16)
      var bytes: [UInt8] = []
      var place = 0
      for _ in 0..<random.number(1...9) {
        place += random.number(1...70)
        let piece = random.bytes(random.number(1...200))
        region.slice.copyIn(piece.rawSpan, at: place)
        let isAdded = table.append(region.slice.slice(at: place, count: piece.count))
        #expect(isAdded)
        place += piece.count
        bytes += piece
      }
      let start = random.number(0...bytes.count)
      let count = random.number(0...(bytes.count - start))
      var expected = 0
      for (index, byte) in bytes[start..<(start + count)].enumerated() {
        expected += Int(byte) << (index % 2 == 0 ? 8 : 0)
      }
      while expected > 0xffff { expected = expected & 0xffff + expected >> 16 }
      let sum = InternetChecksum.sum(table.list, from: start, count: count)
      // Zero has two forms.
      #expect(Int(sum) % 0xffff == expected % 0xffff)
      let other = InternetChecksum.sum(bytes.rawSpan, start..<(start + count))
      #expect(other % 0xffff == sum % 0xffff)

      var target = ScatterTable(capacity: 64)
      var room = 0
      while room < bytes.count + 40 {
        let part = random.number(1...90)
        _ = target.append(copied.slice.slice(at: 2 * room, count: part))
        room += part
      }
      let offset = random.number(0...40)
      target.list.copyIn(table.list, at: offset)
      let result = [UInt8](zeroed: bytes.count) { target.list.copyOut(from: offset, into: &$0) }
      #expect(result == bytes)
    }
  }
}
