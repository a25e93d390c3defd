import WireBytes

/// Puts fragments of IP packets together, in bounded memory: at most `capacity` packets of 64 KiB at a time, each for at
/// most `lifetime`.
struct FragmentReassembler {
  /// What fragments of one packet have in common.
  struct Key: Hashable {
    var exchange: IPExchange
    var identification: UInt32
    var protocolNumber: UInt8
  }

  fileprivate struct Packet {
    var key: Key
    var deadline: UInt64
    var bytes: [UInt8] = []
    /// Where bytes have come, ascending, none touching the next.
    var filled: [Range<Int>] = []
    var totalByteCount: Int?
  }

  private var packets: [Packet] = []
  private let capacity: Int
  private let lifetime: UInt64

  static let maximumByteCount = 65_535
  /// Packets whose fragments come in a wilder order are given up.
  fileprivate static let maximumRangeCount = 64

  init(capacity: Int = 32, lifetimeNanoseconds: UInt64 = 10_000_000_000) {
    self.capacity = capacity
    lifetime = lifetimeNanoseconds
  }

  /// How many packets wait for fragments.
  var count: Int { packets.count }

  /// Adds a fragment; answers the payload of the packet when it was the last that was missing.
  ///
  /// Fragments that overlap, contradict each other or leave 64 KiB end the packet (RFC 5722).
  mutating func add(_ key: Key, offset: Int, isLast: Bool, _ bytes: RawSpan, now: UInt64) -> [UInt8]? {
    packets.removeAll { $0.deadline <= now }
    let end = offset + bytes.byteCount
    guard bytes.byteCount > 0, end <= FragmentReassembler.maximumByteCount, isLast || bytes.byteCount % 8 == 0 else {
      packets.removeAll { $0.key == key }
      return nil
    }
    var index = packets.firstIndex { $0.key == key }
    if index == nil {
      // The oldest stands first.
      if packets.count == capacity { packets.removeFirst() }
      packets.append(Packet(key: key, deadline: now + lifetime))
      index = packets.count - 1
    }
    guard let index, packets[index].add(offset..<end, isLast: isLast, bytes) else {
      packets.removeAll { $0.key == key }
      return nil
    }
    guard packets[index].isComplete else { return nil }
    return packets.remove(at: index).bytes
  }
}

extension FragmentReassembler.Packet {
  fileprivate var isComplete: Bool {
    totalByteCount != nil && filled.count == 1 && filled[0] == 0..<totalByteCount!
  }

  fileprivate mutating func add(_ range: Range<Int>, isLast: Bool, _ new: RawSpan) -> Bool {
    if isLast {
      guard totalByteCount == nil, (filled.last?.upperBound ?? 0) <= range.upperBound else { return false }
      totalByteCount = range.upperBound
    } else if let totalByteCount, range.upperBound > totalByteCount {
      return false
    }
    let place = filled.firstIndex { $0.lowerBound >= range.lowerBound } ?? filled.count
    if place < filled.count, filled[place].lowerBound < range.upperBound { return false }
    if place > 0, filled[place - 1].upperBound > range.lowerBound { return false }
    insert(range, at: place)
    if bytes.count < range.upperBound {
      bytes.append(contentsOf: repeatElement(0, count: range.upperBound - bytes.count))
    }
    bytes.withMutableBytes { span in span.store(new, at: range.lowerBound) }
    return filled.count <= FragmentReassembler.maximumRangeCount
  }

  private mutating func insert(_ range: Range<Int>, at place: Int) {
    var range = range
    if place < filled.count, filled[place].lowerBound == range.upperBound {
      range = range.lowerBound..<filled.remove(at: place).upperBound
    }
    if place > 0, filled[place - 1].upperBound == range.lowerBound {
      filled[place - 1] = filled[place - 1].lowerBound..<range.upperBound
    } else {
      filled.insert(range, at: place)
    }
  }
}
