import SharedMemory
import VMBusRing
import WireBytes

/// A writing end that the macros of the tests can hold.
final class Writer {
  private var ring: OutgoingRing

  init(_ memory: MemorySlice) throws { ring = try OutgoingRing(memory) }

  func write(_ packet: [UInt8]) throws -> Bool { try ring.write(packet.rawSpan) }
  func publish() -> Bool { ring.publish() }
  func isDrained() throws -> Bool { try ring.isDrained() }
  func requestSpace(forPacketOf byteCount: Int) throws -> Bool { try ring.requestSpace(forPacketOf: byteCount) }
}

/// A reading end that the macros of the tests can hold, with a buffer.
final class Reader {
  private var ring: IncomingRing
  private(set) var buffer: [UInt8]

  init(_ memory: MemorySlice, buffer: Int = 64) throws {
    ring = try IncomingRing(memory)
    self.buffer = [UInt8](repeating: 0, count: buffer)
  }

  func read() throws -> Int { try buffer.withMutableBytes { bytes in try ring.read(into: &bytes) } }
  func release() throws -> Bool { try ring.release() }
  func isEmpty() throws -> Bool { try ring.isEmpty() }
  func maskInterrupts() { ring.maskInterrupts() }
  func unmaskInterrupts() throws -> Bool { try ring.unmaskInterrupts() }
}
