import Ethernet
import LinuxIO
import NetvscProtocol
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

/// The way of frames from the guest, on one channel: RNDIS messages in memory of the guest become frames that are lent to
/// the port.
///
/// All headers are copied to private memory before they are looked at; the rest of a frame is lent as it lies.
struct TransmitPath: ~Copyable {
  /// The packet whose messages are being sent.
  struct Transfer {
    var transactionID: UInt64
    var wantsCompletion: Bool
    /// Where the next message starts.
    var offset = 0
    /// The bytes of the first range, in which all headers lie.
    var firstByteCount: Int
    /// A message was malformed.
    var hasFailed = false
  }

  /// How the sending of a packet went.
  enum Progress: Equatable {
    /// All messages are sent, or dropped.
    case done
    /// The port has no room.
    case blocked
    /// A message of a kind that is no frame.
    case fault(UInt32)
  }

  /// The longest header with per-packet information that is taken, in bytes.
  static let maximumHeaderByteCount = 1024
  /// The pieces of a packet at most: one for each page number, the section, and the copied headers.
  private static let pieceCapacity = Channel.maximumPacketByteCount / 8 + 8

  let counters: NetvspCounters
  /// The longest frame that is not cut, with its Ethernet header and tags, in bytes.
  var frameByteCount = 1514
  private(set) var transfer: Transfer?

  private var whole = ScatterTable(capacity: pieceCapacity)
  private var frame = ScatterTable(capacity: pieceCapacity)
  private let copied: MemoryRegion
  private var header = [UInt8](repeating: 0, count: maximumHeaderByteCount)
  private var headers = [UInt8](repeating: 0, count: LentFrame.copiedHeaderByteCount)

  init(counters: NetvspCounters) throws(Errno) {
    self.counters = counters
    copied = try MemoryRegion(anonymous: LentFrame.copiedHeaderByteCount)
  }

  // MARK: Gathering

  /// Names the memory of a packet: the section of the send buffer, if there is one, then the ranges of guest memory. Nil
  /// when not all of it is memory of the guest; else the length of the first range.
  mutating func gather(
    section: MemorySlice?, _ descriptor: PacketDescriptor, _ packet: RawSpan, in memory: GuestMemory
  ) -> Int? {
    whole.removeAll()
    if let section { guard whole.append(section) else { return nil } }
    var first = section?.byteCount ?? 0
    guard descriptor.type == .gpaDirect else { return first }
    guard var ranges = try? GPADirectRanges(parsing: packet, descriptor: descriptor) else { return nil }
    while let range = ranges.next() {
      if first == 0 { first = Int(range.byteCount) }
      var left = Int(range.byteCount)
      var offset = Int(range.byteOffset)
      for index in 0..<range.pageCount {
        let page = ranges.page(at: index, of: range)
        let part = min(left, pageByteCount - offset)
        guard page < 1 << 40, let slice = memory.slice(at: page << 12 + UInt64(offset), byteCount: part),
          whole.append(slice)
        else { return nil }
        left -= part
        offset = 0
      }
    }
    return first
  }

  /// The bytes that were gathered.
  var byteCount: Int { whole.list.byteCount }

  /// A copy of all bytes that were gathered.
  func bytes() -> [UInt8] {
    let list = whole.list
    return [UInt8](zeroed: list.byteCount) { list.copyOut(into: &$0) }
  }

  // MARK: Sending

  /// Starts to send the messages that were gathered; `send` does it.
  mutating func begin(_ transfer: Transfer) {
    self.transfer = transfer
  }

  /// Sends the messages of the packet, from where the last call stopped.
  mutating func send(to queue: any EthernetQueue) -> Progress {
    guard var transfer else { return .done }
    let total = whole.list.byteCount
    while transfer.offset < total {
      let step = sendMessage(to: queue, total: total, &transfer)
      self.transfer = transfer
      if step != .done { return step }
    }
    return .done
  }

  /// The packet is done with.
  mutating func finish() -> Transfer? {
    defer { transfer = nil }
    return transfer
  }

  /// Sends the message at `transfer.offset`, and steps over it.
  private mutating func sendMessage(
    to queue: any EthernetQueue, total: Int, _ transfer: inout Transfer
  ) -> Progress {
    let list = whole.list
    let start = transfer.offset
    let left = total - start
    let fixed = min(left, RNDISPacket.headerByteCount)
    header.withMutableBytes { bytes in
      var window = bytes._mutatingExtracting(0..<fixed)
      list.copyOut(from: start, into: &window)
    }
    let message: RNDISPacket
    do throws(NetvscError) {
      message = try RNDISPacket(parsing: header.rawSpan.extracting(first: fixed), available: left)
    } catch {
      if case .unexpectedType(let type, _) = error { return .fault(type) }
      // Where the next message starts is unknown.
      return drop(&transfer, next: total)
    }
    let next = start + message.byteCount
    let information = message.information
    let length = message.data.count
    guard message.isPlain, length >= 14, length <= FrameRoom.maximumFrameByteCount,
      information.upperBound <= header.count, start + information.upperBound <= transfer.firstByteCount
    else { return drop(&transfer, next: next) }
    let copiedCount = min(length, headers.count)
    headers.withMutableBytes { bytes in
      var window = bytes._mutatingExtracting(0..<copiedCount)
      list.copyOut(from: start + message.data.lowerBound, into: &window)
    }
    var offload = FrameOffload.plain
    if !information.isEmpty {
      header.withMutableBytes { bytes in
        var window = bytes._mutatingExtracting(information)
        list.copyOut(from: start + information.lowerBound, into: &window)
      }
      do throws(NetvscError) {
        let wishes = try PacketInformation(parsing: header.rawSpan.extracting(information))
        offload = try headers.withMutableBytes { bytes throws(NetvscError) in
          var window = bytes._mutatingExtracting(0..<copiedCount)
          return try wishes.transmitOffload(headers: &window, frameByteCount: length)
        }
      } catch {
        return drop(&transfer, next: next)
      }
    }
    // Tags may stand in the frame, too.
    guard offload.segmentation != .none || length <= frameByteCount + 8 else { return drop(&transfer, next: next) }
    copied.slice.copyIn(headers.rawSpan.extracting(first: copiedCount))
    guard name(start + message.data.lowerBound, length, copiedCount) else { return drop(&transfer, next: next) }
    let lent = LentFrame(bytes: frame.list, headerByteCount: copiedCount, offload: offload)
    guard queue.send(lent) else { return .blocked }
    counters.sent.count(headers.rawSpan.be64(at: 0) >> 16, byteCount: length)
    transfer.offset = next
    return .done
  }

  private func drop(_ transfer: inout Transfer, next: Int) -> Progress {
    counters.sendErrors.add(1)
    transfer.hasFailed = true
    transfer.offset = next
    return .done
  }

  /// Makes `frame` name a frame of `length` bytes at `offset`, its first `copiedCount` bytes as they were copied.
  private mutating func name(_ offset: Int, _ length: Int, _ copiedCount: Int) -> Bool {
    frame.removeAll()
    guard frame.append(copied.slice.slice(at: 0, count: copiedCount)) else { return false }
    let list = whole.list
    var skip = offset + copiedCount
    var left = length - copiedCount
    var index = 0
    while left > 0 {
      let piece = list[index]
      index += 1
      if skip >= piece.byteCount {
        skip -= piece.byteCount
        continue
      }
      let part = min(left, piece.byteCount - skip)
      guard frame.append(piece.slice(at: skip, count: part)) else { return false }
      left -= part
      skip = 0
    }
    return true
  }
}
