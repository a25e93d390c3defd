import SharedMemory
import Testing
import VMBusChannel
import VMBusProtocol
import VMBusRing
import WireBytes

/// One channel: the guest's end as plain rings, the host's as an endpoint.
final class TestChannel {
  let toHost: MemoryRegion
  let toGuest: MemoryRegion
  let endpoint: any HostEndpoint
  private var out: OutgoingRing
  private var input: IncomingRing
  private var buffer = [UInt8](repeating: 0, count: 8192)

  init(_ session: any HostDeviceSession, index: Int, ringByteCount: Int) throws {
    toHost = try MemoryRegion(anonymous: ringByteCount)
    toGuest = try MemoryRegion(anonymous: ringByteCount)
    OutgoingRing.initialize(toHost.slice)
    OutgoingRing.initialize(toGuest.slice)
    out = try OutgoingRing(toHost.slice)
    input = try IncomingRing(toGuest.slice)
    let channel = try Channel(
      relid: UInt32(index + 1), outgoing: toGuest.slice, incoming: toHost.slice, acceptedTypes: .fromGuest,
      doorbell: SilentDoorbell(), waitDescriptor: -1)
    endpoint = try session.openEndpoint(on: channel, index: index)
  }

  /// A packet without its trailer.
  static func packet(type: UInt16, id: UInt64, flags: UInt16 = 1, extra: [UInt64] = [], _ payload: [UInt8]) -> [UInt8] {
    let head = 16 + 8 * extra.count
    let total = (head + payload.count + 7) & ~7
    return [UInt8](zeroed: total) { bytes in
      bytes.storeLE(type, at: 0)
      bytes.storeLE(UInt16(head / 8), at: 2)
      bytes.storeLE(UInt16(total / 8), at: 4)
      bytes.storeLE(flags, at: 6)
      bytes.storeLE(id, at: 8)
      for (index, word) in extra.enumerated() { bytes.storeLE(word, at: 16 + 8 * index) }
      bytes.store(payload.rawSpan, at: head)
    }
  }

  func send(type: UInt16, id: UInt64, flags: UInt16 = 1, extra: [UInt64] = [], _ payload: [UInt8]) {
    #expect(sendRaw(Self.packet(type: type, id: id, flags: flags, extra: extra, payload)))
  }

  @discardableResult
  func sendRaw(_ packet: [UInt8]) -> Bool {
    guard let written = try? out.write(packet.rawSpan) else { return false }
    _ = out.publish()
    return written
  }

  /// The next packet from the host without its trailer.
  func receive() -> [UInt8]? {
    var count = 0
    buffer.withMutableBytes { bytes in count = (try? input.read(into: &bytes)) ?? -1 }
    _ = try? input.release()
    return count > 0 ? Array(buffer[..<count]) : nil
  }

  /// Sends, runs the host, and answers the packet that came; empty without one.
  func transact(type: UInt16, id: UInt64, flags: UInt16 = 1, extra: [UInt64] = [], _ payload: [UInt8]) -> [UInt8] {
    send(type: type, id: id, flags: flags, extra: extra, payload)
    endpoint.run()
    return receive() ?? []
  }

  /// Bytes of the host's ring.
  func hostRing(at position: Int, count: Int) -> [UInt8] {
    toGuest.slice.slice(at: 4096 + position, count: count).bytes()
  }
}
