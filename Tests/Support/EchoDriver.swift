import LinuxIO
public import VMBusChannel
import VMBusProtocol
import WireBytes

/// A guest driver for `EchoDevice` on one channel.
public final class EchoDriver {
  /// Its channel.
  public let channel: Channel

  /// A driver that owns `channel`.
  public init(_ channel: Channel) {
    self.channel = channel
    channel.maskInterrupts()
  }

  /// Sends `count` packets of random lengths up to `maximumByteCount`, many at a time, and checks that each comes back once,
  /// in order and whole. Answers how many did before the channel was lost or `milliseconds` were over.
  ///
  /// - Parameters:
  ///   - depth: the most packets under way.
  ///   - spinMicroseconds: how long it looks for an answer before it sleeps.
  /// - Throws: `.protocolFault` for a wrong answer, and what the channel throws.
  public func exchange(
    count: Int, maximumByteCount: Int = 512, depth: Int = 32, seed: UInt64 = 1, milliseconds: Int = 60_000,
    spinMicroseconds: Int = 0
  ) throws(ChannelError) -> Int {
    let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    var sending = RandomNumbers(seed: seed)
    var expecting = RandomNumbers(seed: seed)
    var sent = 0
    var received = 0
    var payload = [UInt8](repeating: 0, count: maximumByteCount + 8)
    var next = Self.length(&sending, maximumByteCount)
    var wrong: String?
    var lastAnswer = monotonicNanoseconds()
    while received < count {
      if channel.isLost { return received }
      var isFull = false
      while sent < count, sent - received < depth {
        let length = next
        payload.withMutableBytes { Self.fill(&$0, number: UInt64(sent), count: length) }
        let id = UInt64(sent + 1)
        do throws(ChannelError) {
          guard
            try channel.sendInBand(
              transactionID: id, requestsCompletion: true, payload: payload.rawSpan.extracting(first: length))
          else {
            isFull = true
            break
          }
        } catch {
          if case .lost = error { return received }
          throw error
        }
        sent += 1
        next = Self.length(&sending, maximumByteCount)
      }
      try channel.flush()
      let before = received
      while try channel.receive({ (descriptor, packet) -> Void in
        let length = Self.length(&expecting, maximumByteCount)
        wrong = wrong ?? Self.check(descriptor, packet, number: UInt64(received), count: length)
      }) != nil {
        received += 1
      }
      if let wrong { throw .protocolFault(wrong) }
      let now = monotonicNanoseconds()
      if received != before {
        lastAnswer = now
        continue
      }
      if spinMicroseconds > 0, now - lastAnswer < UInt64(spinMicroseconds) * 1000 { continue }
      if now > deadline { return received }
      if isFull, try channel.requestSpace(forPacketOf: next + 24) { continue }
      try sleep(milliseconds: 1000)
    }
    try channel.flush()
    return received
  }

  /// Sends one packet and waits for its completion; the payload of that.
  public func call(_ payload: [UInt8], milliseconds: Int = 10_000) throws(ChannelError) -> [UInt8] {
    guard try channel.sendInBand(transactionID: 77, requestsCompletion: true, payload: payload.rawSpan) else {
      throw .protocolFault("the ring is full")
    }
    return try answer(milliseconds: milliseconds)
  }

  /// Flushes, and waits for one packet; its payload.
  public func answer(milliseconds: Int = 10_000) throws(ChannelError) -> [UInt8] {
    try channel.flush()
    let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    while true {
      let answer = try channel.receive { descriptor, packet in packet.array(from: descriptor.payloadOffset) }
      if let answer {
        try channel.flush()
        return answer
      }
      if channel.isLost { throw .lost }
      if monotonicNanoseconds() > deadline { throw .timedOut(what: "an echo") }
      try sleep(milliseconds: 1000)
    }
  }

  private func sleep(milliseconds: Int32) throws(ChannelError) {
    if try channel.unmaskInterrupts() {
      channel.maskInterrupts()
      return
    }
    if waitForInput([channel.waitDescriptor], milliseconds: milliseconds) != 0 { channel.acknowledgeSignal() }
    channel.maskInterrupts()
  }

  private static func length(_ random: inout RandomNumbers, _ maximum: Int) -> Int {
    8 + Int(random.next() % UInt64(max(1, maximum - 8 + 1)))
  }

  @_lifetime(bytes: copy bytes)
  private static func fill(_ bytes: inout MutableRawSpan, number: UInt64, count: Int) {
    bytes.storeLE(number, at: 0)
    for index in 8..<max(8, count) { bytes.storeLE(UInt8(truncatingIfNeeded: number &+ UInt64(index)), at: index) }
  }

  private static func check(_ descriptor: PacketDescriptor, _ packet: RawSpan, number: UInt64, count: Int) -> String? {
    let payload = packet.extracting(droppingFirst: descriptor.payloadOffset)
    guard descriptor.type == .completion, descriptor.transactionID == number + 1 else {
      return "\(descriptor) in place of completion \(number + 1)"
    }
    guard payload.byteCount == (count + 7) & ~7, payload.le64(at: 0) == number else {
      return "\(payload.byteCount) bytes in place of \(count), number \(number)"
    }
    for index in 8..<max(8, count) where payload.byte(at: index) != UInt8(truncatingIfNeeded: number &+ UInt64(index)) {
      return "byte \(index) of packet \(number) is wrong"
    }
    return nil
  }
}

/// The same numbers for the same seed (SplitMix64).
public struct RandomNumbers: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// A generator that starts with `seed`.
  public init(seed: UInt64) {
    state = seed
  }

  /// The next number.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
