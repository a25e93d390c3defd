import ArgumentParser
import Ethernet
import WireBytes

/// Measures what the parts of the network cost, without the kernel.
struct FramesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "frames",
    abstract: "Measure the way of a frame through cable, netvsc, VMBus, netvsp and switch, on one thread.",
    discussion: """
      Either end is a source or a drain in memory: there are no system calls, and what is measured is the processor time \
      of Synthgate. With one --way and one --bytes under `valgrind --tool=callgrind`, twice with different --count, the \
      difference is the number of instructions of a frame.
      """)

  /// Which way frames go.
  enum Way: String, ExpressibleByArgument, CaseIterable { case out, `in` }

  @Option(help: "out (from the guest) or in; can be repeated, without it both.")
  var way: [Way] = []

  @Option(
    help: "Length of the frames, from 60; above 1514 they are to be cut. Can be repeated; without it 64, 1514, 61440.")
  var bytes: [Int] = []

  @Option(help: "Frames that come at once; can be repeated, without it 1 and 64.")
  var batch: [Int] = []

  @Option(help: "Frames of a run.")
  var count = 100_000

  @Option(help: "Runs, of which the fastest counts.")
  var rounds = 5

  func validate() throws {
    for length in bytes where !(60...65_000).contains(length) {
      throw ValidationError("--bytes must be from 60 to 65000")
    }
    if count < 1 || rounds < 1 || batch.contains(where: { $0 < 1 }) {
      throw ValidationError("--count, --rounds and --batch count from 1")
    }
  }

  func run() throws {
    for way in way.isEmpty ? Way.allCases : way {
      for byteCount in bytes.isEmpty ? [64, 1514, 61_440] : bytes {
        for batch in batch.isEmpty ? [1, 64] : batch { try measure(way, byteCount, batch: batch) }
      }
    }
  }

  private func measure(_ way: Way, _ byteCount: Int, batch: Int) throws {
    let isOut = way == .out
    let plan = PulsePort.Plan(
      frame: frame(
        byteCount, from: isOut ? FramePath.guestAddress : FramePath.peerAddress,
        to: isOut ? FramePath.peerAddress : FramePath.guestAddress),
      offload: FrameOffload(
        checksum: .partial(start: 34, offset: 16),
        segmentation: byteCount > 1514 ? .tcp4(segmentByteCount: 1460, headerByteCount: 54) : .none),
      batchCount: batch)
    let path = try FramePath(
      guest: PulsePort(plan, endsWhenIdle: true), uplink: PulsePort(plan, endsWhenIdle: false))
    defer { path.close() }
    var best = UInt64.max
    var arrived = 0
    for _ in 0..<rounds {
      let result = try path.move(count, out: isOut)
      best = min(best, result.nanoseconds)
      arrived = result.arrived
    }
    print("\(way.rawValue) bytes=\(byteCount) batch=\(batch) ns/frame=\(Int(best) / count) arrived=\(arrived)/\(count)")
  }

  /// A TCP segment over IPv4 with valid lengths and the seed of a partial checksum.
  private func frame(_ byteCount: Int, from: MACAddress, to: MACAddress) -> [UInt8] {
    var frame = [UInt8](repeating: 0, count: byteCount)
    func put(_ value: UInt64, _ count: Int, at offset: Int) {
      for index in 0..<count {
        frame[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - index)))
      }
    }
    put(to.value, 6, at: 0)
    put(from.value, 6, at: 6)
    put(0x0800, 2, at: 12)
    put(0x4500, 2, at: 14)
    put(UInt64(byteCount - 14), 2, at: 16)
    put(0x4006, 2, at: 22)
    put(0x0a4d_0001_0a4d_0002, 8, at: 26)
    put(0x1f90_1f91, 4, at: 34)
    put(0x5010, 2, at: 46)
    let header = InternetChecksum.sum(frame.rawSpan, 14..<34, seed: 0)
    put(UInt64(~header), 2, at: 24)
    let addresses = InternetChecksum.sum(frame.rawSpan, 26..<34, seed: 0)
    let seed = UInt64(addresses) + 6 + UInt64(byteCount - 34)
    put((seed & 0xffff) + seed >> 16, 2, at: 50)
    return frame
  }
}
