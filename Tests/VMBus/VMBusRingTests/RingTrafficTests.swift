import LinuxIO
import SharedMemory
import Support
import Synchronization
import Testing
import VMBusRing
import WireBytes

/// Nothing is lost, reordered or torn, and everybody who sleeps is woken.
@Suite(.serialized) struct RingTrafficTests {
  @Test(arguments: [(1, 8), (1, 64), (1, 2000), (2, 512), (4, 4000), (64, 8000)])
  func betweenThreads(pages: Int, maximumByteCount: Int) throws {
    let region = try MemoryRegion(anonymous: (1 + pages) * 4096)
    OutgoingRing.initialize(region.slice)
    let traffic = RingTraffic(
      memory: region.slice, dataEvent: try EventFD(), spaceEvent: try EventFD(), count: 20_000,
      seed: UInt64(pages * 1000 + maximumByteCount), maximumByteCount: min(maximumByteCount, pages * 4096 - 48))
    let failure = Mutex<String?>(nil)
    let writer = try WorkerThread(name: "ring-writer") { failure.withLock { $0 = traffic.write() } }
    #expect(traffic.read() == nil)
    writer.join()
    #expect(failure.withLock { $0 } == nil)
    withExtendedLifetime(region) {}
  }

  @Test(arguments: ["reader", "writer"])
  func betweenProcesses(peer: String) throws {
    for (pages, maximumByteCount) in [(1, 96), (3, 4096)] {
      let file = try MemoryFile(name: "ring", byteCount: (1 + pages) * 4096)
      let region = try MemoryRegion(sharing: file)
      OutgoingRing.initialize(region.slice)
      let traffic = RingTraffic(
        memory: region.slice, dataEvent: try EventFD(), spaceEvent: try EventFD(), count: 20_000, seed: 5,
        maximumByteCount: maximumByteCount)
      let pair = try PacketSocket.pair()
      try pair.first.send(
        [UInt8](repeating: 1, count: 1).rawSpan,
        descriptors: [file.descriptor, traffic.dataEvent.descriptor, traffic.spaceEvent.descriptor])
      let process = try PeerProcess.start(
        [peer, "5", "20000", "\(maximumByteCount)"], extra: pair.second.descriptor)
      #expect((peer == "reader" ? traffic.write() : traffic.read()) == nil)
      #expect(process.exitCode() == 0)
      withExtendedLifetime(region) {}
    }
  }

  @Test func hostileWriterNeverTrapsTheReader() throws {
    let region = try MemoryRegion(anonymous: 8192)
    var random = RandomNumbers(seed: 3)
    var taken = 0
    for _ in 0..<20_000 {
      OutgoingRing.initialize(region.slice)
      for offset in stride(from: 4096, to: 8192, by: 8) where random.next() & 7 == 0 {
        region.slice.storeLE64(random.next() >> (random.next() & 63), at: offset)
      }
      region.slice.word32(at: RingLayout.readIndex).storeReleasing(UInt32(random.next() & 0xff8))
      guard let ring = try? Reader(region.slice, buffer: 512) else { continue }
      region.slice.word32(at: RingLayout.writeIndex).storeReleasing(UInt32(random.next() & 0x1fff))
      region.slice.word32(at: RingLayout.pendingSendSize).storeReleasing(UInt32(truncatingIfNeeded: random.next()))
      while let count = try? ring.read(), count > 0 {
        taken += 1
        #expect(count >= 16 && count <= 512 && count % 8 == 0)
      }
      _ = try? ring.release()
    }
    #expect(taken > 0)
  }

  #if !DEBUG
    @Test func speed() throws {
      let region = try MemoryRegion(anonymous: 65536 + 4096)
      OutgoingRing.initialize(region.slice)
      var outgoing = try OutgoingRing(region.slice)
      var incoming = try IncomingRing(region.slice)
      let packet = [UInt8](zeroed: 64) { $0.storeLE(UInt64(6) | 2 << 16 | 8 << 32, at: 0) }
      var buffer = [UInt8](repeating: 0, count: 512)
      let rounds = 2_000_000
      var best = Double.infinity
      for _ in 0..<5 {
        let start = monotonicNanoseconds()
        for _ in 0..<rounds {
          _ = try outgoing.write(packet.rawSpan)
          _ = outgoing.publish()
          _ = try buffer.withMutableBytes { bytes throws(RingError) in try incoming.read(into: &bytes) }
          _ = try incoming.release()
        }
        best = min(best, Double(monotonicNanoseconds() - start) / Double(rounds))
      }
      print("ring push and pop of 64 bytes, published one by one: \(best) ns")
    }
  #endif
}
