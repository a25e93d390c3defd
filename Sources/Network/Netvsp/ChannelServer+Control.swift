import Ethernet
import NetvscProtocol
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

/// RNDIS control messages. They are rare, and may allocate.
extension ChannelServer {
  /// A control message of the guest: a private copy.
  mutating func takeControl(_ bytes: [UInt8]) {
    let message: RNDISMessage
    do throws(NetvscError) { message = try RNDISMessage(parsing: bytes.rawSpan) } catch {
      return fail(.protocolFault("RNDIS control: \(error)"))
    }
    if case .initialize(let id, let major, _, _) = message { return initialize(id, majorVersion: major) }
    if case .halt = message { return halt() }
    guard device.isInitialized else {
      // What comes between HALT and the end is of no use to anybody.
      if device.toldLink != nil || negotiation.step == .revoked { return }
      return fail(.protocolFault("\(message.type) before INITIALIZE"))
    }
    switch message {
    case .query(let request):
      let answer = query(request.oid, Array(bytes[request.information]))
      let information = answer ?? []
      reply(
        .queryComplete(
          RNDISQueryResult(
            requestID: request.requestID, status: answer == nil ? .notSupported : .success,
            informationByteCount: information.count)), information)
    case .set(let request):
      let status = set(request.oid, Array(bytes[request.information]))
      reply(.setComplete(requestID: request.requestID, status))
      if request.oid == .offloadParameters, status == .success { indicateOffload() }
    case .keepalive(let id): reply(.keepaliveComplete(requestID: id, .success))
    default: fail(.protocolFault("\(message.type) from a guest"))
    }
  }

  private mutating func initialize(_ id: UInt32, majorVersion: UInt32) {
    guard !device.isInitialized else { return fail(.protocolFault("a second INITIALIZE")) }
    guard negotiation.step == .running else { return }
    guard majorVersion == 1 else {
      var refusal = RNDISInitializeResult(requestID: id)
      refusal.status = .badVersion
      return reply(.initializeComplete(refusal))
    }
    device = DeviceState(address: device.address)
    device.isInitialized = true
    device.offload = offered()
    device.offload.coalesces4 = false
    device.offload.coalesces6 = false
    device.toldLink = session.nic.link
    applyDevice()
    reply(.initializeComplete(RNDISInitializeResult(requestID: id)))
  }

  /// HALT ends all data, whatever the filter says. There is no reply.
  private mutating func halt() {
    guard device.isInitialized else { return }
    device.isInitialized = false
    device.filter = []
    applyDevice()
  }

  /// Makes port and channels follow what the guest has set.
  mutating func applyDevice() {
    let device = device
    let port = session.nic.port
    port.setFilter(device.frameFilter)
    var offloads: OffloadSet = .checksum
    if device.offload.coalesces4 { offloads.insert(.tcp4) }
    if device.offload.coalesces6 { offloads.insert(.tcp6) }
    port.setOffloads(offloads)
    session.note(address: device.address, filter: device.filter)
    update { plan in
      plan.isInitialized = device.isInitialized
      plan.wantsFrames = !device.frameFilter.isClosed
      plan.coalesces4 = device.offload.coalesces4
      plan.coalesces6 = device.offload.coalesces6
      plan.hashTypes = device.scaling.flatMap { $0.isDisabled ? nil : $0.hashTypes }
    }
  }

  /// What the NIC can do for this guest.
  func offered(revision: UInt8 = 3) -> NDISOffload {
    guard session.nic.options.offersOffloads else {
      var result = NDISOffload(revision: revision)
      result.coalesces4 = coalescingIsPossible && revision >= 3
      result.coalesces6 = result.coalesces4
      return result
    }
    return NDISOffload.full(revision: revision, coalesces: coalescingIsPossible)
  }

  // MARK: To the guest

  mutating func reply(_ message: RNDISMessage, _ information: [UInt8] = []) {
    let bytes = [UInt8](zeroed: message.byteCount) { message.store(into: &$0, information: information.rawSpan) }
    guard control.append(bytes) else { return fail(.protocolFault("the guest takes no control messages")) }
  }

  mutating func indicate(_ status: RNDISStatus, _ buffer: [UInt8] = []) {
    reply(.indicateStatus(RNDISIndication(status, bufferByteCount: buffer.count)), buffer)
  }

  private mutating func indicateOffload() {
    let offload = device.offload
    indicate(.taskOffloadCurrentConfiguration, [UInt8](zeroed: offload.byteCount) { offload.store(into: &$0) })
  }

  /// Tells what the control plane wants told, and sends what waits; whether there was anything.
  mutating func serveControl() -> Bool {
    guard !isSilent else { return false }
    if device.isInitialized, session.isNoticeDue {
      if session.takeLinkNotice() { indicateLink() }
      if session.takeTableNotice() { sendTable() }
    }
    var count = 0
    while !isSilent, let (message, subAllocation) = control.next {
      guard sendControl(message, subAllocation) else { break }
      control.sent()
      count += 1
    }
    return count > 0
  }

  private mutating func indicateLink() {
    let link = session.nic.link
    guard let told = device.toldLink else { return }
    device.toldLink = link
    if link.bitsPerSecond != told.bitsPerSecond {
      let word = NDISLinkSpeed.word(bitsPerSecond: link.bitsPerSecond)
      indicate(.linkSpeedChange, [UInt8](zeroed: 4) { $0.storeLE(word, at: 0) })
    }
    if link.isConnected != told.isConnected { indicate(link.isConnected ? .mediaConnect : .mediaDisconnect) }
    if link.networkChangeCount != told.networkChangeCount { indicate(.networkChange) }
  }

  /// Where the guest is to send its flows; a hint, which is not repeated when the ring is full.
  private mutating func sendTable() {
    let table = NVSPIndirectionTable(channelCount: UInt32(plan.channelCount))
    do throws(ChannelError) {
      let channel = channel
      _ = try reply.withMutableBytes { bytes throws(ChannelError) in
        let count = table.store(into: &bytes)
        return try channel.sendInBand(
          transactionID: 0, requestsCompletion: false, payload: bytes.bytes.extracting(first: count))
      }
      try channel.flush()
    } catch {
      fail(error)
    }
  }

  /// Puts a control message into its sub-allocation, and tells the guest; false when the ring has no room now.
  private mutating func sendControl(_ message: [UInt8], _ subAllocation: Int) -> Bool {
    guard let receive = plan.receive else { return false }
    let size = Int(receive.section.subAllocationByteCount)
    let offset = subAllocation * size
    guard message.count <= size else {
      fail(.protocolFault("a control message longer than the guest's sub-allocations"))
      return false
    }
    receive.mapping.slice.copyIn(message.rawSpan, at: offset)
    let header = TransferPages.headerByteCount(rangeCount: 1)
    let payload = plan.version.hostMessageByteCount
    let total = (header + payload + 7) & ~7
    let id = receive.id
    do throws(ChannelError) {
      let channel = channel
      return try reply.withMutableBytes { bytes throws(ChannelError) in
        var packet = bytes._mutatingExtracting(0..<total)
        packet.zero(from: 0, count: total)
        TransferPages.storeDescriptor(
          into: &packet, pageSetID: id, rangeCount: 1, payloadByteCount: payload,
          transactionID: UInt64(subAllocation))
        TransferPages.storeRange(
          into: &packet, index: 0,
          TransferPageRange(byteCount: UInt32(message.count), byteOffset: UInt32(offset)))
        NVSPRNDISPacket(.control).store(into: &packet, at: header)
        if try channel.send(packet: packet.bytes) { return true }
        guard try channel.requestSpace(forPacketOf: total) else { return false }
        return try channel.send(packet: packet.bytes)
      }
    } catch {
      fail(error)
      return false
    }
  }
}
