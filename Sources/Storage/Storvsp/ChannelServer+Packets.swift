import LinuxIO
import SCSI
import SharedMemory
import StorvscProtocol
import VMBusChannel
import VMBusProtocol
import WireBytes

extension ChannelServer {
  /// What a packet is answered with: its id, and as many bytes as it had itself, at most 64.
  struct ReplyAddress {
    var transactionID: UInt64
    var byteCount: Int
  }

  /// Takes one packet: a private copy, whose descriptor fits it.
  mutating func handle(_ descriptor: PacketDescriptor, _ packet: RawSpan) {
    guard descriptor.type == .inBand || descriptor.type == .gpaDirect else {
      return fail(.packet(.type(descriptor.type)))
    }
    // There would be no way to answer.
    guard descriptor.isCompletionRequested else { return fail(.protocolFault("a request without completion")) }
    let payload = packet.extracting(descriptor.payloadOffset..<packet.byteCount)
    guard let header = try? StorvscPacket(parsing: payload) else {
      return fail(.protocolFault("a storvsc packet of \(payload.byteCount) bytes"))
    }
    owe()
    let address = ReplyAddress(
      transactionID: descriptor.transactionID,
      byteCount: StorvscPacket.replyByteCount(requestByteCount: payload.byteCount))
    if header.operation == .executeSRB {
      executeSRB(descriptor, packet, payload, address)
    } else {
      negotiate(header.operation, payload, address)
    }
  }

  private mutating func negotiate(_ operation: StorvscOperation, _ payload: RawSpan, _ address: ReplyAddress) {
    guard isPrimary else {
      let isReset = operation == .resetLUN || operation == .resetAdapter || operation == .resetBus
      let refusal = operation.isFromGuest ? NTStatus.invalidDeviceState : .invalidDeviceRequest
      return answer(address, isReset ? .success : refusal)
    }
    guard payload.byteCount >= StorvscPacket.headerByteCount + operation.minimumPayloadByteCount else {
      return answer(address, .invalidParameter)
    }
    switch operation {
    case .queryProtocolVersion:
      guard let block = try? VersionBlock(parsing: payload) else { return answer(address, .invalidParameter) }
      carryOut(negotiation.handleVersion(block.version), address)
    case .createSubChannels:
      guard let wish = try? SubChannelCount(parsing: payload) else { return answer(address, .invalidParameter) }
      let maximum = session.controller.maximumSubChannelCount
      carryOut(negotiation.handleSubChannels(Int(wish.count), maximum: maximum), address)
    default:
      carryOut(negotiation.handle(operation), address)
    }
  }

  private mutating func carryOut(_ result: NegotiationState.Reply, _ address: ReplyAddress) {
    switch result {
    case .status(let status):
      answer(address, status)
    case .version(let status, let version):
      answer(address, status) { VersionBlock(version).store(into: &$0) }
    case .properties:
      let count = negotiation.version.hasSubChannels ? session.controller.maximumSubChannelCount : 0
      let properties = ChannelProperties(
        maximumSubChannelCount: UInt16(count), maximumTransferByteCount: UInt32(maximumTransferByteCount))
      answer(address, .success) { properties.store(into: &$0) }
    case .subChannels(let count):
      answer(address, .success)
      session.guest.offerSubChannels(count)
    case .ready:
      version = negotiation.version
      session.becomeReady(version)
      answer(address, .success)
    }
  }

  /// Answers with a status, and what `fill` puts after the header.
  private mutating func answer(
    _ address: ReplyAddress, _ status: NTStatus, _ fill: (inout MutableRawSpan) -> Void = { _ in }
  ) {
    reply.withMutableBytes { bytes in
      bytes.zero(from: 0, count: StorvscPacket.byteCount)
      StorvscPacket.completion(status).store(into: &bytes)
      fill(&bytes)
    }
    sendReply(address.transactionID, byteCount: address.byteCount)
  }

  /// Answers a SCSI request.
  mutating func answer(_ address: ReplyAddress, _ completion: SCSIRequest) {
    if completion.srbStatus != .success { counters.failures.add(1) }
    var completion = completion
    completion.senseByteCount = UInt8(version.senseByteCount)
    let version = version
    reply.withMutableBytes { bytes in
      bytes.zero(from: 0, count: StorvscPacket.byteCount)
      StorvscPacket.completion(completion.srbStatus.headerStatus).store(into: &bytes)
      completion.store(into: &bytes, version: version)
    }
    sendReply(address.transactionID, byteCount: address.byteCount)
  }

  // MARK: SCSI requests

  private mutating func executeSRB(
    _ descriptor: PacketDescriptor, _ packet: RawSpan, _ payload: RawSpan, _ address: ReplyAddress
  ) {
    guard !isPrimary || negotiation.step == .ready else { return answer(address, .invalidDeviceState) }
    guard let request = try? SCSIRequest(parsing: payload, version: version) else {
      return answer(address, .invalidParameter)
    }
    counters.commands.add(1)
    // No block, or one that is longer than any.
    guard let cdb = request.command else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
    var buffer = GuestBuffer(descriptor, packet, request, limit: maximumTransferByteCount)
    guard buffer.isSound else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
    let place = unit(path: request.pathID, target: request.targetID, lun: request.lun)
    execute(cdb, request, unit: place, &buffer, address)
  }

  /// Names `count` bytes of the guest's memory in the table of the next free slot; false when not all of it is the
  /// guest's memory.
  mutating func resolve(_ buffer: inout GuestBuffer, byteCount count: Int) -> Bool {
    buffer.resolve(byteCount: count, in: session.guest.memory, into: &tables[freeSlots[freeSlots.count - 1]])
  }

  /// The memory that `resolve` has named.
  var resolvedMemory: ScatterList { tables[freeSlots[freeSlots.count - 1]].list }
}
