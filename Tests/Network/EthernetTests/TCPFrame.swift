import TestVectors
import Ethernet

/// A TCP frame with all that may stand in its headers, built and checked without the code under test.
struct TCPFrame: Equatable {
  var isIPv6 = false
  /// Tags in front of the IP header: EtherType and control information.
  var tags: [[UInt8]] = []
  var ipOptions: [UInt8] = []
  var tcpOptions: [UInt8] = []
  var identification = 0x1234
  var sequence = 0x0102_0304
  var acknowledgment = 0x0506_0708
  var flags: UInt8 = 0x18
  var window = 0x0200
  var payload: [UInt8] = []

  static let ethernet = hex("00155d010203 00155d0a0b0c")

  var tcpOffset: Int { 14 + 4 * tags.count + (isIPv6 ? 40 : 20) + ipOptions.count }
  var headersByteCount: Int { tcpOffset + 20 + tcpOptions.count }

  /// A frame with random parts; its payload has `payloadByteCount` bytes.
  static func random(_ random: inout SeededGenerator, payloadByteCount: Int) -> TCPFrame {
    var frame = TCPFrame()
    frame.isIPv6 = random.bool()
    if random.number(0...3) == 0 { frame.tags = [hex("8100") + random.bytes(2)] }
    if random.bool() {
      // NOPs with an end, or a header of destination options filled with PadN.
      frame.ipOptions =
        frame.isIPv6
        ? [6, 0, 1, 4, 0, 0, 0, 0] : [UInt8](repeating: 1, count: 4 * random.number(1...10) - 1) + [0]
    }
    if random.bool() { frame.tcpOptions = [UInt8](repeating: 1, count: 4 * random.number(1...10)) }
    frame.identification = random.number(0...0xffff)
    frame.sequence = random.number(0...0xffff_ffff)
    frame.flags = 0x10 | UInt8(random.number(0...255)) & 0xe9
    frame.payload = random.bytes(payloadByteCount)
    return frame
  }

  private func addresses() -> [UInt8] {
    isIPv6
      ? hex("fd000000000000000000000000000002 fd000000000000000000000000000001") : hex("0a4d0002 0a4d0001")
  }

  /// The frame on the wire; with `seeded` its checksum field holds the sum of the pseudo-header.
  func bytes(seeded: Bool) -> [UInt8] {
    let tcpByteCount = 20 + tcpOptions.count + payload.count
    var network: [UInt8]
    if isIPv6 {
      network = hex("60000000") + be16(ipOptions.count + tcpByteCount) + [ipOptions.isEmpty ? 6 : 60, 64]
      network += addresses() + ipOptions
    } else {
      let header = 20 + ipOptions.count
      network =
        [UInt8(0x40 | header / 4), 0] + be16(header + tcpByteCount) + be16(identification) + hex("40004006 0000")
      network += addresses() + ipOptions
      network.replaceSubrange(10..<12, with: be16(0xffff ^ onesSum(network)))
    }
    var tcp = hex("9c401451") + be16(sequence >> 16) + be16(sequence & 0xffff)
    tcp += be16(acknowledgment >> 16) + be16(acknowledgment & 0xffff)
    tcp += [UInt8((20 + tcpOptions.count) / 4) << 4, flags] + be16(window) + hex("0000 0000") + tcpOptions + payload
    let pseudo = onesSum(addresses() + be16(6) + be16(tcpByteCount))
    tcp.replaceSubrange(16..<18, with: be16(seeded ? pseudo : 0xffff ^ onesSum(be16(pseudo) + tcp)))
    return TCPFrame.ethernet + tags.joined() + (isIPv6 ? hex("86dd") : hex("0800")) + network + tcp
  }

  /// What is to be done about the seeded frame.
  func offload(segmentByteCount: Int?) -> FrameOffload {
    var offload = FrameOffload(checksum: .partial(start: UInt16(tcpOffset), offset: 16))
    if let segmentByteCount {
      let (segment, header) = (UInt16(segmentByteCount), UInt16(headersByteCount))
      offload.segmentation =
        isIPv6
        ? .tcp6(segmentByteCount: segment, headerByteCount: header)
        : .tcp4(segmentByteCount: segment, headerByteCount: header)
    }
    return offload
  }

  /// The segments that this frame is to be cut into, written down without looking at how the finisher does it.
  func segments(of segmentByteCount: Int) -> [TCPFrame] {
    let starts = Array(stride(from: 0, to: max(1, payload.count), by: segmentByteCount))
    return starts.enumerated().map { index, start in
      var segment = self
      segment.payload = Array(payload[start..<min(payload.count, start + segmentByteCount)])
      segment.sequence = (sequence + start) & 0xffff_ffff
      segment.identification = (identification + index) & 0xffff
      if index > 0 { segment.flags &= 0x7f }
      if index < starts.count - 1 { segment.flags &= 0xf6 }
      return segment
    }
  }
}

func be16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }

/// The sum of 16-bit words in network order, the slow way.
func onesSum(_ bytes: [UInt8]) -> Int {
  var sum = 0
  for (index, byte) in bytes.enumerated() {
    sum += index % 2 == 0 ? Int(byte) << 8 : Int(byte)
    if sum > 0xffff { sum -= 0xffff }
  }
  return sum
}
