import Ethernet
import LinuxIO
@testable import Netvsc
import NetvscProtocol
import SharedMemory
import Synchronization
import Testing
import VMBusChannel
import WireBytes

/// Keeps what it is sent; takes no more than it has room for.
final class CollectingSink: EthernetSink {
  var frames: [[UInt8]] = []
  var offloads: [FrameOffload] = []
  var headerCounts: [Int] = []
  var room = Int.max

  func send(_ frame: LentFrame) -> Bool {
    guard room > 0 else { return false }
    room -= 1
    var bytes = [UInt8](repeating: 0, count: frame.byteCount)
    bytes.withMutableBytes { frame.bytes.copyOut(into: &$0) }
    frames.append(bytes)
    offloads.append(frame.offload)
    headerCounts.append(frame.headerByteCount)
    return true
  }
  func reserve() -> FrameRoom? { nil }
  func commit(start: Int, byteCount: Int, offload: FrameOffload) {}
  func flush() {}
}

/// A host, its device, and an adapter.
final class Rig {
  let host: ScriptedHost
  let pool: ScriptedMemory
  let threading: Threading
  private(set) var device: ScriptedDevice
  let adapter: NetvscAdapter

  init(
    _ host: ScriptedHost = ScriptedHost(), _ threading: Threading = .inline,
    _ change: (inout NetvscOptions) -> Void = { _ in }
  ) throws {
    self.host = host
    self.threading = threading
    pool = try ScriptedMemory()
    device = ScriptedDevice(host, pool, threading)
    var options = NetvscOptions()
    options.receiveBufferByteCount = 1 << 20
    options.sendBufferByteCount = 256 * 1024
    options.queueCount = 1
    options.longFrameCount = 4
    options.stepMilliseconds = 5_000
    change(&options)
    adapter = try NetvscAdapter(device: device, options: options)
  }

  func restart() {
    device = ScriptedDevice(host, pool, threading)
  }

  deinit { adapter.close() }
}

/// A private piece of memory as a scatter list.
final class Memory {
  let region: MemoryRegion
  var table = ScatterTable(capacity: 16)

  init(_ pieces: [[UInt8]]) throws {
    region = try MemoryRegion(anonymous: max(4096, pieces.reduce(0) { $0 + $1.count + 16 }))
    var position = 0
    for piece in pieces {
      let slice = region.slice.slice(at: position, count: piece.count)
      slice.copyIn(piece.rawSpan)
      _ = table.append(slice)
      position += piece.count + 16
    }
  }
}

extension EthernetQueue {
  /// Lends `frame`, cut into a first piece of headers and a rest.
  func lend(_ frame: [UInt8], _ offload: FrameOffload = .plain) throws -> Bool {
    let count = min(frame.count, LentFrame.copiedHeaderByteCount)
    let memory = try Memory([Array(frame.prefix(count)), Array(frame.dropFirst(count))].filter { !$0.isEmpty })
    return send(LentFrame(bytes: memory.table.list, headerByteCount: count, offload: offload))
  }

  /// Puts `frame` into room, as a TAP does.
  func put(_ frame: [UInt8], start: Int = 0, _ offload: FrameOffload = .plain) -> Bool {
    guard let room = reserve() else { return false }
    room.bytes.copyIn(frame.rawSpan, at: start)
    commit(start: start, byteCount: frame.count, offload: offload)
    return true
  }

  /// Turns until `condition` holds or five seconds have passed.
  func turn(_ sink: any EthernetSink = LosingSink(), until condition: () -> Bool) -> Bool {
    let end = monotonicNanoseconds() + 5_000_000_000
    while monotonicNanoseconds() < end {
      _ = forward(to: sink, limit: 256)
      flush()
      if condition() { return true }
      sleepThread(nanoseconds: 200_000)
    }
    return condition()
  }
}

struct Random {
  var state: UInt64
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}

/// A TCP over IPv4 frame in canonical form, with a seed.
func tcp4(payload: Int, segment: Int? = nil, random: inout Random) -> (frame: [UInt8], offload: FrameOffload) {
  var frame = Golden.tcpHeaders + random.bytes(payload)
  frame.withMutableBytes { bytes in
    let headers = FrameHeaders(parsing: bytes.bytes)!
    _ = headers.storeLength(frameByteCount: bytes.byteCount, into: &bytes)
    bytes.storeBE(
      headers.pseudoHeaderSum(bytes.bytes, protocolNumber: 6, layer4ByteCount: bytes.byteCount - 34), at: 50)
  }
  var offload = FrameOffload(checksum: .partial(start: 34, offset: 16))
  if let segment { offload.segmentation = .tcp4(segmentByteCount: UInt16(segment), headerByteCount: 54) }
  return (frame, offload)
}

/// Whether the TCP checksum of an IPv4 frame is right.
func isTCPSumRight(_ frame: [UInt8]) -> Bool {
  let headers = FrameHeaders(parsing: frame.rawSpan)!
  let seed = headers.pseudoHeaderSum(
    frame.rawSpan, protocolNumber: 6, layer4ByteCount: frame.count - headers.layer4Offset)
  return InternetChecksum.sum(frame.rawSpan, headers.layer4Offset..<frame.count, seed: seed) == 0xffff
}
