import Ethernet
import NetvscProtocol
import SharedMemory
import Testing
import VMBusProtocol
import WireBytes

extension TestGuest {
  /// The extra words of a GPA-direct packet with one range.
  static func range(at address: UInt64, byteCount: Int) -> [UInt64] { ranges([(address, byteCount)]) }

  /// The extra words of a GPA-direct packet.
  static func ranges(_ ranges: [(address: UInt64, byteCount: Int)]) -> [UInt64] {
    var words: [UInt64] = [UInt64(ranges.count) << 32]
    for (address, byteCount) in ranges {
      let offset = address & 4095
      let pages = (offset + UInt64(byteCount) + 4095) / 4096
      words.append(offset << 32 | UInt64(byteCount))
      words += (0..<pages).map { address >> 12 + $0 }
    }
    return words
  }

  /// A PACKET message around a frame.
  static func message(
    _ frame: [UInt8], _ information: PacketInformation = PacketInformation(), padding: Int = 0, gap: Int = 0
  ) -> [UInt8] {
    let start = 44 + information.byteCount + gap
    let packet = RNDISPacket(
      informationByteCount: information.byteCount, dataByteCount: frame.count, dataOffset: start, padding: padding)
    return [UInt8](zeroed: packet.byteCount) {
      packet.store(into: &$0)
      information.store(into: &$0)
      $0.store(frame.rawSpan, at: start)
    }
  }

  /// Messages laid end to end, each but the last padded to 8 bytes.
  static func batch(_ frames: [[UInt8]]) -> [UInt8] {
    frames.enumerated().flatMap { index, frame in
      message(
        frame, padding: index == frames.count - 1 ? 0 : RNDISPacket.padding(after: 44 + frame.count, alignment: 8))
    }
  }

  /// Puts messages into a section of the send buffer, and sends them.
  @discardableResult
  func sendSection(_ bytes: [UInt8], index: Int = 0, on channel: TestChannel? = nil) -> UInt64 {
    region.slice.copyIn(bytes.rawSpan, at: Self.sendOffset + index * sendSectionByteCount)
    let id = id()
    (channel ?? primary).send(
      type: 6, id: id, Self.rndis(control: false, section: UInt32(index), byteCount: UInt32(bytes.count)))
    return id
  }

  /// Sends messages that lie in ranges of guest memory, starting `offset` bytes into it.
  @discardableResult
  func sendDirect(_ pieces: [[UInt8]], section: [UInt8]? = nil, offset: Int = 8192) -> UInt64 {
    var place = offset
    var list: [(address: UInt64, byteCount: Int)] = []
    for piece in pieces {
      region.slice.copyIn(piece.rawSpan, at: place)
      list.append((Self.base + UInt64(place), piece.count))
      place += (piece.count + 4096 + 100) & ~3
    }
    if let section { region.slice.copyIn(section.rawSpan, at: Self.sendOffset) }
    let id = id()
    primary.send(
      type: 9, id: id, extra: Self.ranges(list),
      Self.rndis(control: false, section: section == nil ? nil : 0, byteCount: UInt32(section?.count ?? 0)))
    return id
  }

  /// The status of each 108 in the ring, by transaction id; other packets go to `kept`.
  func sendStatuses(on channel: TestChannel? = nil) -> [UInt64: UInt32] {
    var result: [UInt64: UInt32] = [:]
    while let packet = (channel ?? primary).receive() {
      if packet[0] == 11 {
        let id = packet.le64(at: 8)
        #expect(result[id] == nil && packet.le32(at: 16) == 108)
        result[id] = packet.le32(at: 20)
      } else {
        kept.append(packet)
      }
    }
    return result
  }

  /// A frame as the guest got it.
  struct Received: Equatable {
    var bytes: [UInt8]
    var information = PacketInformation()
    var pieceCount = 1
  }

  /// Runs the host, and takes all frames; their packets are given back unless `holds`.
  func receive(on channel: TestChannel? = nil, holds: Bool = false) -> [Received] {
    let channel = channel ?? primary
    channel.endpoint.run()
    var frames: [Received] = []
    var packets = kept
    kept = []
    while let packet = channel.receive() { packets.append(packet) }
    for packet in packets where packet[0] == 7 {
      frames += self.frames(packet)
      if holds { held.append(packet) } else { complete(packet, on: channel) }
    }
    if !holds { channel.endpoint.run() }
    return frames
  }

  func releaseHeld(_ count: Int = .max) {
    for packet in held.prefix(count) { complete(packet) }
    held.removeFirst(min(count, held.count))
    primary.endpoint.run()
  }

  private func frames(_ packet: [UInt8]) -> [Received] {
    var frames: [Received] = []
    var assembler = CoalescedFrame()
    var open: Received?
    for message in ranges(packet) {
      guard let header = try? RNDISPacket(parsing: message.rawSpan, available: message.count),
        let information = try? PacketInformation(parsing: message.rawSpan.extracting(header.information))
      else {
        Issue.record("a malformed message to the guest")
        continue
      }
      let data = Array(message[header.data])
      switch assembler.take(information.packetID, byteCount: data.count) {
      case .whole: frames.append(Received(bytes: data, information: information))
      case .first: open = Received(bytes: data, information: information)
      case .middle, .last:
        open?.bytes += data
        open?.pieceCount += 1
        if information.packetID?.isLast == true, let frame = open {
          frames.append(frame)
          open = nil
        }
      case .drop: Issue.record("a fragment out of place")
      }
    }
    #expect(assembler.isComplete)
    return frames
  }
}
