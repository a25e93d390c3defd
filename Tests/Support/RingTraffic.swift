public import LinuxIO
public import SharedMemory
import VMBusRing
import WireBytes

/// One direction of traffic over a ring, between two threads or processes that sleep on eventfds and lean on the ring's own
/// rules for waking each other. A wake-up that is lost shows as a timeout.
public struct RingTraffic: Sendable {
  /// The ring.
  public let memory: MemorySlice
  /// The writer signals it.
  public let dataEvent: EventFD
  /// The reader signals it.
  public let spaceEvent: EventFD
  /// How many packets.
  public let count: Int
  /// Of what random lengths and contents.
  public let seed: UInt64
  /// The longest payload.
  public let maximumByteCount: Int

  private static let milliseconds: Int32 = 10_000

  /// Traffic of `count` packets.
  public init(
    memory: MemorySlice, dataEvent: EventFD, spaceEvent: EventFD, count: Int, seed: UInt64, maximumByteCount: Int
  ) {
    self.memory = memory
    self.dataEvent = dataEvent
    self.spaceEvent = spaceEvent
    self.count = count
    self.seed = seed
    self.maximumByteCount = maximumByteCount
  }

  private static func payloadByteCount(_ random: inout RandomNumbers, _ maximum: Int) -> Int {
    Int(random.next() % UInt64(maximum / 8 + 1)) * 8
  }

  /// Writes all packets; answers what went wrong.
  public func write() -> String? {
    var random = RandomNumbers(seed: seed)
    do throws(RingError) {
      var ring = try OutgoingRing(memory)
      for number in 0..<count {
        let byteCount = Self.payloadByteCount(&random, maximumByteCount)
        var packet = [UInt8](repeating: 0, count: 16 + byteCount)
        packet.withMutableBytes { bytes in
          bytes.storeLE(UInt64(6) | 2 << 16 | UInt64(packet16(byteCount)) << 32, at: 0)
          bytes.storeLE(UInt64(number), at: 8)
          for offset in stride(from: 16, to: 16 + byteCount, by: 8) {
            bytes.storeLE(UInt64(number) &* 0x9e37_79b9 &+ UInt64(offset), at: offset)
          }
        }
        while !(try ring.write(packet.rawSpan)) {
          if ring.publish() { dataEvent.signal() }
          if try ring.requestSpace(forPacketOf: packet.count) { continue }
          if waitForInput([spaceEvent.descriptor], milliseconds: Self.milliseconds) == 0 {
            return "the writer was not woken at packet \(number)"
          }
          spaceEvent.drain()
        }
        // Some packets are published alone, some in batches.
        if random.next() & 3 != 0 || number == count - 1, ring.publish() { dataEvent.signal() }
      }
      return nil
    } catch {
      return "\(error)"
    }
  }

  private func packet16(_ byteCount: Int) -> Int { (16 + byteCount) / 8 }

  /// Reads all packets and checks them; answers what went wrong.
  public func read() -> String? {
    var random = RandomNumbers(seed: seed)
    var pauses = RandomNumbers(seed: seed &+ 1)
    var buffer = [UInt8](repeating: 0, count: 8192)
    do throws(RingError) {
      var ring = try IncomingRing(memory)
      var number = 0
      while number < count {
        let length = try buffer.withMutableBytes { bytes throws(RingError) in try ring.read(into: &bytes) }
        if length == 0 {
          if try ring.release() { spaceEvent.signal() }
          if try ring.unmaskInterrupts() { continue }
          if waitForInput([dataEvent.descriptor], milliseconds: Self.milliseconds) == 0 {
            return "the reader was not woken at packet \(number)"
          }
          dataEvent.drain()
          ring.maskInterrupts()
          continue
        }
        let byteCount = Self.payloadByteCount(&random, maximumByteCount)
        _ = random.next()
        if let wrong = check(buffer.rawSpan, number: number, length: length, byteCount: byteCount) { return wrong }
        number += 1
        if pauses.next() & 7 == 0, try ring.release() { spaceEvent.signal() }
      }
      if try ring.release() { spaceEvent.signal() }
      return nil
    } catch {
      return "\(error)"
    }
  }

  private func check(_ bytes: RawSpan, number: Int, length: Int, byteCount: Int) -> String? {
    guard length == 16 + byteCount, bytes.le64(at: 8) == UInt64(number) else {
      return "packet \(bytes.le64(at: 8)) of \(length) bytes in place of \(number) of \(16 + byteCount)"
    }
    for offset in stride(from: 16, to: 16 + byteCount, by: 8) {
      if bytes.le64(at: offset) != UInt64(number) &* 0x9e37_79b9 &+ UInt64(offset) {
        return "packet \(number) is torn at \(offset)"
      }
    }
    return nil
  }
}
