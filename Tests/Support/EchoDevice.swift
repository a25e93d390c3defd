import LinuxIO
import SharedMemory
public import Synchronization
public import VMBusChannel
public import VMBusProtocol
import WireBytes

/// A device that sends back what it gets: each in-band packet as a completion if one is asked for, else as an in-band packet;
/// of a GPA-direct packet the sum of the bytes that it names.
public final class EchoDevice: HostDevice {
  /// Payloads that start with this byte ask for as many sub-channels as the next byte says.
  public static let subChannelCommand: UInt8 = 0xfe
  /// The class of echo devices.
  public static let interfaceClass: GUID = GUID(0xec40_0000, 1, 2, 3)

  /// The class.
  public let interfaceClass: GUID = EchoDevice.interfaceClass
  /// The instance.
  public let instance: GUID
  /// Nothing.
  public let userDefined: [UInt8] = [1, 2, 3]
  /// None.
  public let offerFlags: OfferFlags = []
  /// How many sessions are there now.
  public let sessionCount = Atomic<Int>(0)
  /// How many endpoints are there now.
  public let endpointCount = Atomic<Int>(0)
  /// How long the closing of an endpoint takes.
  public let closeMilliseconds = Atomic<Int>(0)
  /// Refuse sessions.
  public let refuses = Atomic<Bool>(false)

  /// An echo device.
  public init(instance: GUID = GUID(0, 0, 0, 1)) {
    self.instance = instance
  }

  /// A session.
  public func makeSession(for guest: GuestContext) throws(ChannelError) -> any HostDeviceSession {
    if refuses.load(ordering: .relaxed) { throw .refused(what: "echo", status: 5) }
    sessionCount.add(1, ordering: .relaxed)
    return EchoSession(self, guest)
  }
}

final class EchoSession: HostDeviceSession {
  let device: EchoDevice
  let guest: GuestContext

  init(_ device: EchoDevice, _ guest: GuestContext) {
    self.device = device
    self.guest = guest
  }

  func openEndpoint(on channel: Channel, index: Int) throws(ChannelError) -> any HostEndpoint {
    do throws(Errno) {
      device.endpointCount.add(1, ordering: .relaxed)
      return EchoEndpoint(channel, self, ready: try EventFD())
    } catch {
      throw .system(what: "eventfd", error)
    }
  }

  func end() {
    device.sessionCount.subtract(1, ordering: .relaxed)
  }
}

final class EchoEndpoint: HostEndpoint {
  private let channel: Channel
  private let session: EchoSession
  private let ready: EventFD
  private var answer: [UInt8] = []
  private var answerCount = 0
  private var transactionID: UInt64 = 0
  private var isCompletion = false
  private var hasAnswer = false
  private(set) var fault: ChannelError?

  init(_ channel: Channel, _ session: EchoSession, ready: EventFD) {
    self.channel = channel
    self.session = session
    self.ready = ready
    answer = [UInt8](repeating: 0, count: Channel.maximumPacketByteCount)
  }

  var readinessDescriptor: Int32 { ready.descriptor }

  func run() -> Bool {
    if fault != nil { return false }
    var worked = false
    do throws(ChannelError) {
      while true {
        if hasAnswer {
          if !(try sendAnswer()) {
            // Everything so far has to be seen before the guest can make room.
            try channel.flush()
            guard try channel.requestSpace(forPacketOf: answerCount + 16), try sendAnswer() else { break }
          }
          worked = true
        }
        guard try channel.receive({ descriptor, packet in take(descriptor, packet) }) != nil else { break }
        worked = true
      }
      try channel.flush()
    } catch {
      fault = error
    }
    return worked
  }

  private func sendAnswer() throws(ChannelError) -> Bool {
    let answer = answer
    let isSent: Bool
    if isCompletion {
      isSent = try channel.sendCompletion(
        transactionID: transactionID, payload: answer.rawSpan.extracting(first: answerCount))
    } else {
      isSent = try channel.sendInBand(
        transactionID: transactionID, requestsCompletion: false, payload: answer.rawSpan.extracting(first: answerCount))
    }
    if isSent { hasAnswer = false }
    return isSent
  }

  private func take(_ descriptor: PacketDescriptor, _ packet: RawSpan) {
    transactionID = descriptor.transactionID
    isCompletion = descriptor.isCompletionRequested
    hasAnswer = true
    if descriptor.type == .gpaDirect {
      let sum = sumOfRanges(descriptor, packet)
      answerCount = 8
      answer.withMutableBytes { $0.storeLE(sum, at: 0) }
      return
    }
    let payload = packet.extracting(droppingFirst: descriptor.payloadOffset)
    keep(payload)
    if payload.byteCount >= 2, payload.byte(at: 0) == EchoDevice.subChannelCommand {
      session.guest.offerSubChannels(Int(payload.byte(at: 1)))
    }
  }

  private func keep(_ payload: RawSpan) {
    answerCount = payload.byteCount
    answer.withMutableBytes { $0.store(payload, at: 0) }
  }

  private func sumOfRanges(_ descriptor: PacketDescriptor, _ packet: RawSpan) -> UInt64 {
    guard var ranges = try? GPADirectRanges(parsing: packet, descriptor: descriptor) else { return .max }
    var sum: UInt64 = 0
    while let range = ranges.next() {
      var rest = Int(range.byteCount)
      var offset = Int(range.byteOffset)
      for index in 0..<range.pageCount {
        let count = min(rest, pageByteCount - offset)
        let address = ranges.page(at: index, of: range) &* UInt64(pageByteCount) &+ UInt64(offset)
        guard let slice = session.guest.memory.slice(at: address, byteCount: count) else { return .max }
        for byte in slice.bytes() { sum += UInt64(byte) }
        rest -= count
        offset = 0
      }
    }
    return sum
  }

  func close() {
    sleepThread(nanoseconds: session.device.closeMilliseconds.load(ordering: .relaxed) * 1_000_000)
    session.device.endpointCount.subtract(1, ordering: .relaxed)
  }
}
