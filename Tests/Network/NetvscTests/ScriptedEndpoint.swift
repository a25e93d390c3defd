import Ethernet
import LinuxIO
import NetvscProtocol
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol
import WireBytes

/// The host's end of one channel.
final class ScriptedEndpoint: HostEndpoint {
  let host: ScriptedHost
  let channel: Channel
  let index: Int
  let memory: GuestMemory
  let epoch: Int
  let readinessDescriptor: Int32 = -1
  private(set) var fault: ChannelError?
  var isClosed = false
  /// Packets for which the ring had no room.
  private var waiting: [[UInt8]] = []
  private var held: [UInt64] = []

  init(_ host: ScriptedHost, _ channel: Channel, index: Int, memory: GuestMemory, epoch: Int) {
    self.host = host
    self.channel = channel
    self.index = index
    self.memory = memory
    self.epoch = epoch
  }

  func close() { isClosed = true }

  @discardableResult
  func run() -> Bool {
    var worked = false
    while !isClosed, fault == nil {
      if host.get({ $0.isDead || $0.epoch != epoch }) { return worked }
      do throws(ChannelError) {
        while let first = waiting.first {
          guard try channel.send(packet: first.rawSpan) else { break }
          waiting.removeFirst()
        }
        let packet: (PacketDescriptor, [UInt8])? = try channel.receive { ($0, $1.array()) }
        if packet == nil {
          pushNotices()
          pushDeliveries()
          try channel.flush()
          if !waiting.isEmpty { _ = try channel.requestSpace(forPacketOf: waiting[0].count) }
          return worked
        }
        worked = true
        serve(packet!.0, packet!.1)
      } catch {
        fault = error
      }
    }
    return worked
  }

  // MARK: Sending

  private func push(_ packet: [UInt8]) {
    if waiting.isEmpty {
      do throws(ChannelError) {
        if try channel.send(packet: packet.rawSpan) { return }
      } catch {
        fault = error
        return
      }
    }
    waiting.append(packet)
  }

  private func complete(_ id: UInt64, _ payload: [UInt8]) {
    let descriptor = PacketDescriptor.completion(payloadByteCount: payload.count, transactionID: id)
    push(
      [UInt8](zeroed: descriptor.length) { bytes in
        descriptor.store(into: &bytes)
        bytes.store(payload.rawSpan, at: 16)
      })
  }

  private func complete(_ id: UInt64, _ completion: NVSPCompletion, _ version: NVSPVersion? = nil) {
    let version = version ?? host.get { $0.version }
    complete(
      id,
      [UInt8](zeroed: max(version.hostMessageByteCount, completion.fieldByteCount)) {
        _ = completion.store(into: &$0, byteCount: version.hostMessageByteCount)
      })
  }

  private func pushNotices() {
    guard index == 0 else { return }
    let (notices, strays) = host.get { state in
      defer {
        state.notices = []
        state.strays = []
      }
      return (state.notices, state.strays)
    }
    for id in strays { complete(id, .rndisPacket(.success)) }
    for notice in notices {
      let descriptor = PacketDescriptor.inBand(
        payloadByteCount: notice.payload.count, transactionID: notice.id, isCompletionRequested: notice.asks)
      push(
        [UInt8](zeroed: descriptor.length) { bytes in
          descriptor.store(into: &bytes)
          bytes.store(notice.payload.rawSpan, at: 16)
        })
    }
    if !host.get({ $0.holdsCompletions }) {
      for id in held { complete(id, .rndisPacket(host.get { $0.sendStatusOfFrames })) }
      held = []
    }
  }

  private func pushDeliveries() {
    while waiting.isEmpty {
      let packet: [UInt8]? = host.get { state in
        guard let next = state.deliveries.firstIndex(where: { $0.channel == index }) else { return nil }
        let delivery = state.deliveries[next]
        guard delivery.packet != nil || delivery.ranges.count <= state.freeSubAllocations.count else { return nil }
        state.deliveries.remove(at: next)
        return pack(delivery, &state)
      }
      guard let packet else { return }
      push(packet)
    }
  }

  private func pack(_ delivery: Delivery, _ state: inout ScriptedHost.State) -> [UInt8] {
    if let packet = delivery.packet { return packet }
    let size = Int(state.subAllocationByteCount)
    var ranges = delivery.rawRanges
    var used: [Int] = []
    for range in delivery.ranges {
      let index = state.freeSubAllocations.removeLast()
      used.append(index)
      precondition(range.bytes.count <= size)
      state.receive!.copyIn(range.bytes.rawSpan, at: index * size)
      ranges.append(
        TransferPageRange(byteCount: range.stated ?? UInt32(range.bytes.count), byteOffset: UInt32(index * size)))
    }
    let id = state.nextID
    state.nextID += 1
    state.onTheirWay[id] = used
    let length = TransferPages.headerByteCount(rangeCount: ranges.count) + 40
    return [UInt8](zeroed: length) { bytes in
      TransferPages.storeDescriptor(
        into: &bytes, pageSetID: delivery.setID, rangeCount: ranges.count, payloadByteCount: 40, transactionID: id)
      for (index, range) in ranges.enumerated() { TransferPages.storeRange(into: &bytes, index: index, range) }
      NVSPRNDISPacket(delivery.type).store(into: &bytes, at: TransferPages.headerByteCount(rangeCount: ranges.count))
    }
  }

  // MARK: Serving

  private func serve(_ descriptor: PacketDescriptor, _ packet: [UInt8]) {
    let payload = packet.rawSpan.array(from: descriptor.payloadOffset, count: descriptor.payloadByteCount)
    let id = descriptor.transactionID
    if descriptor.type == .completion { return takeReply(id, payload) }
    let request: NVSPRequest
    do { request = try NVSPRequest(parsing: payload.rawSpan) } catch {
      return host.set { $0.log.append("bad \(error)") }
    }
    if case .rndisPacket(let message) = request {
      let (bytes, inSection) = gather(descriptor, packet, message)
      if message.channelType == .control { return control(id, bytes) }
      host.set {
        $0.sent.append(
          SentMessage(channel: index, id: id, packet: packet, bytes: bytes, sectionByteCount: inSection))
      }
      if host.get({ $0.holdsCompletions }) { return held.append(id) }
      return complete(id, .rndisPacket(host.get { $0.sendStatusOfFrames }))
    }
    host.set {
      $0.log.append("\(request.type)")
      $0.raw.append(payload)
      $0.sizes.append(payload.count)
    }
    if host.get({ $0.silentTypes.contains(request.type.rawValue) }) { return }
    switch request {
    case .initialize(_, let version):
      let isAccepted = host.get { state in
        guard state.versions.contains(version) else { return false }
        state.version = version
        return true
      }
      complete(id, .initialize(isAccepted ? .success : host.get { $0.refusal }, for: version), .v1)
    case .configuration(let configuration): host.set { $0.mtu = configuration.frameByteCount }
    case .receiveBuffer(let buffer):
      let (status, section) = host.get { state -> (NVSPStatus, NVSPReceiveSection?) in
        guard state.receiveStatus == .success, let slice = state.gpadls[buffer.gpadl] else {
          return (state.receiveStatus == .success ? .failure : state.receiveStatus, nil)
        }
        let section =
          state.receiveSection
          ?? NVSPReceiveSection(
            bufferByteCount: UInt32(slice.byteCount), subAllocationByteCount: state.subAllocationByteCount)
        state.receive = slice
        state.freeSubAllocations = Array((0..<slice.byteCount / Int(state.subAllocationByteCount)).reversed())
        state.onTheirWay = [:]
        return (.success, section)
      }
      complete(id, .receiveBuffer(status, section))
    case .sendBuffer(let buffer):
      let (status, size) = host.get { state -> (NVSPStatus, UInt32) in
        state.send = state.gpadls[buffer.gpadl]
        return (state.sendStatus, state.sectionByteCount)
      }
      complete(id, .sendBuffer(status, sectionByteCount: size))
    case .subChannels(let request):
      let granted = host.get { state -> UInt32 in
        let granted = state.grantedSubChannels ?? request.count
        state.offeredSubChannels = Int(granted)
        return granted
      }
      complete(id, .subChannels(.success, count: granted))
    default: break
    }
  }

  private func takeReply(_ id: UInt64, _ payload: [UInt8]) {
    host.set { state in
      let status = payload.count >= 8 ? payload.rawSpan.le32(at: 4) : 0xff
      state.answers[id, default: []].append(status)
      if let used = state.onTheirWay.removeValue(forKey: id) {
        state.freeSubAllocations += used
      } else if id >= 16, id < 1 << 60 {
        state.badAnswers += 1
      }
    }
  }

  private func gather(
    _ descriptor: PacketDescriptor, _ packet: [UInt8], _ message: NVSPRNDISPacket
  ) -> ([UInt8], Int) {
    var bytes: [UInt8] = []
    let (send, size) = host.get { ($0.send, Int($0.sectionByteCount)) }
    if let send, let range = message.sectionRange(sectionByteCount: size, bufferByteCount: send.byteCount) {
      bytes = send.slice(at: range.lowerBound, count: range.count).bytes()
    }
    let inSection = bytes.count
    if descriptor.type == .gpaDirect {
      var ranges = try! GPADirectRanges(parsing: packet.rawSpan, descriptor: descriptor)
      while let range = ranges.next() {
        var left = Int(range.byteCount)
        var offset = UInt64(range.byteOffset)
        for page in 0..<range.pageCount {
          let count = min(left, 4096 - Int(offset))
          bytes += memory.slice(at: ranges.page(at: page, of: range) * 4096 + offset, byteCount: count)!.bytes()
          left -= count
          offset = 0
        }
      }
    }
    return (bytes, inSection)
  }

  private func control(_ id: UInt64, _ bytes: [UInt8]) {
    let message = try! RNDISMessage(parsing: bytes.rawSpan)
    host.set { $0.raw.append(bytes) }
    let reply = host.reply(to: message, bytes, index)
    let isReplyFirst = host.get { $0.isReplyFirst }
    if !isReplyFirst { complete(id, .rndisPacket(.success)) }
    if let reply {
      let mutated = host.get { $0.mutateReply }?(reply) ?? reply
      let packet: [UInt8]? = host.get { state in
        state.receive == nil ? nil : pack(Delivery(ranges: [(mutated, nil)], type: .control), &state)
      }
      if let packet { push(packet) }
    }
    if isReplyFirst { complete(id, .rndisPacket(.success)) }
  }
}

extension ScriptedHost {
  /// The reply to a control message; nil for silence.
  func reply(to message: RNDISMessage, _ bytes: [UInt8], _ channel: Int) -> [UInt8]? {
    state.withLock { state -> [UInt8]? in
      func encode(_ reply: RNDISMessage, _ information: [UInt8] = []) -> [UInt8] {
        [UInt8](zeroed: reply.byteCount) { _ = reply.store(into: &$0, information: information.rawSpan) }
      }
      switch message {
      case .initialize(let id, _, _, _):
        state.log.append("INITIALIZE")
        if state.silentTypes.contains(RNDISMessageType.initialize.rawValue) { return nil }
        return encode(.initializeComplete(RNDISInitializeResult(requestID: id)))
      case .halt:
        state.log.append("HALT")
        return nil
      case .query(let request):
        state.log.append("QUERY \(String(request.oid.rawValue, radix: 16))")
        if state.silentOIDs.contains(request.oid) { return nil }
        let information = state.refusedOIDs.contains(request.oid) ? nil : state.answer(to: request.oid)
        guard let information else {
          return encode(.queryComplete(RNDISQueryResult(requestID: request.requestID, status: .notSupported)))
        }
        return encode(
          .queryComplete(
            RNDISQueryResult(
              requestID: request.requestID, status: .success, informationByteCount: information.count)),
          information)
      case .set(let request):
        let value = Array(bytes[request.information])
        state.log.append("SET \(String(request.oid.rawValue, radix: 16))")
        if state.silentOIDs.contains(request.oid) { return nil }
        switch request.oid {
        case .currentPacketFilter: state.filter = value.rawSpan.le32(at: 0)
        case .offloadParameters: state.parameters.append(value)
        case .receiveScaleParameters: state.scaling.append(try! RSSParameters(parsing: value.rawSpan))
        default: break
        }
        let status = state.refusedOIDs.contains(request.oid) ? RNDISStatus.notSupported : .success
        return encode(.setComplete(requestID: request.requestID, status))
      case .keepaliveComplete:
        state.log.append("KEEPALIVE_CMPLT")
        return nil
      default: return nil
      }
    }
  }
}

extension ScriptedHost.State {
  func answer(to oid: OID) -> [UInt8]? {
    func word(_ value: UInt32) -> [UInt8] { [UInt8](zeroed: 4) { $0.storeLE(value, at: 0) } }
    switch oid {
    case .maximumFrameSize: return word(maximumFrame ?? mtu - 14)
    case .permanentAddress: return [UInt8](zeroed: 6) { address.store(into: &$0) }
    case .mediaConnectStatus: return word(media)
    case .linkSpeed: return word(speed)
    case .receiveScaleCapabilities:
      return [UInt8](zeroed: 18) { _ = RSSCapabilities(receiveQueueCount: queueCount).store(into: &$0) }
    case .offloadHardwareCapabilities:
      var object = offered
      object.revision = version.offloadRevision
      return [UInt8](zeroed: object.byteCount) { _ = object.store(into: &$0) }
    default: return nil
    }
  }
}
