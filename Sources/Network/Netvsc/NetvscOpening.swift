import Ethernet
import LinuxIO
import NetvscProtocol
import SharedMemory
import VMBusChannel
import WireBytes

/// What the bring-up found out.
struct NetvscSession: Sendable {
  var version = NVSPVersion.v1
  var receiveSection = NVSPReceiveSection(bufferByteCount: 0, subAllocationByteCount: 1)
  var sendSectionByteCount = 0
  var limits = RNDISInitializeResult(requestID: 0)
  var offered = NDISOffload()
  var isCoalescing = false
  var mtu = 1500
  var address = MACAddress.zero
}

/// An open NIC: its channels, and what has to be taken back when it is closed.
struct OpenNIC: Sendable {
  var session = NetvscSession()
  var ports: [NetvscPort] = []
  var receiveGPADL: UInt32?
  var sendGPADL: UInt32?
}

/// The bring-up of a NIC, step by step, on the control thread.
struct NetvscOpening {
  let device: any GuestDevice
  let options: NetvscOptions
  let memory: NetvscMemory
  let link: LinkState
  let control: ControlLink
  let counters: [NetvscQueueCounters]
  let filter: PacketFilter

  private var nic = OpenNIC()

  init(
    device: any GuestDevice, options: NetvscOptions, memory: NetvscMemory, link: LinkState, control: ControlLink,
    counters: [NetvscQueueCounters], filter: PacketFilter
  ) {
    self.device = device
    self.options = options
    self.memory = memory
    self.link = link
    self.control = control
    self.counters = counters
    self.filter = filter
  }

  /// Opens the channels and runs the protocols up to the point where frames pass.
  ///
  /// - Throws: the step that failed; the device is closed then.
  mutating func run() throws(ChannelError) -> OpenNIC {
    do throws(ChannelError) {
      try bringUp()
      return nic
    } catch {
      device.close()
      for gpadl in [nic.receiveGPADL, nic.sendGPADL] {
        if let gpadl, !device.tearDownGPADL(gpadl) { memory.taint() }
      }
      throw error
    }
  }

  private mutating func bringUp() throws(ChannelError) {
    let primary = try addQueue(try device.openPrimary(ringByteCount: options.ringByteCount))
    let exchange = ControlExchange(queue: primary, link: control, milliseconds: options.stepMilliseconds)
    try negotiateVersion(exchange)
    try announceBuffers(exchange, primary)
    try initializeRNDIS(exchange)
    try openSubChannels(exchange)
    for (index, port) in nic.ports.enumerated() {
      guard let borrowed = port.borrow() else { continue }
      try start(borrowed.queue, index)
      port.giveBack()
    }
    try set(exchange, .currentPacketFilter, ControlMessages.word(filter.rawValue), "the packet filter")
  }

  private mutating func addQueue(_ channel: Channel) throws(ChannelError) -> NetvscQueue {
    let index = nic.ports.count
    let link = link
    let port = NetvscPort(
      index: index, wake: index == 0 ? control.wake : try Self.event(), receiveBuffer: memory.receive.slice,
      counters: counters[index],
      ended: { [control] in
        link.end($0)
        control.end()
      })
    do throws(Errno) {
      let queue = try NetvscQueue(
        port: port, channel: channel, link: link, control: index == 0 ? control : nil,
        controlPage: memory.control.slice, controlAddress: memory.control.address)
      let handover = QueueHandover(queue: queue)
      port.put(handover)
      port.version = nic.session.version
      nic.ports.append(port)
      return queue
    } catch {
      throw .system(what: "a queue", error)
    }
  }

  static func event() throws(ChannelError) -> EventFD {
    do throws(Errno) { return try EventFD() } catch { throw .system(what: "eventfd", error) }
  }

  // MARK: NVSP

  private mutating func negotiateVersion(_ exchange: ControlExchange) throws(ChannelError) {
    var refusal = NVSPStatus.none
    for version in NVSPVersion.newestFirst {
      let reply = try exchange.transact(.initialize(lowest: version, highest: version), "\(version)")
      guard case .initialize(let status, _, _) = reply else {
        throw .protocolFault("another message than INIT_COMPLETE")
      }
      refusal = status
      guard status == .success else { continue }
      nic.session.version = version
      nic.ports[0].version = version
      if version.hasConfiguration {
        let frame = UInt32(options.mtu + FrameHeaders.networkOffset)
        var capabilities = NVSPConfiguration.Capabilities.synthetic(at: version)
        if !options.coalesces { capabilities.remove(.receiveCoalescing) }
        try exchange.tell(
          .configuration(NVSPConfiguration(frameByteCount: frame, capabilities: capabilities)), "NDIS_CONFIG")
      }
      return try exchange.tell(.ndisVersion(version.ndisVersion), "NDIS_VERSION")
    }
    throw .refused(what: "every version of NVSP from 1 to 6.1", status: refusal.rawValue)
  }

  private mutating func announceBuffers(
    _ exchange: ControlExchange, _ primary: NetvscQueue
  ) throws(ChannelError) {
    let limit = nic.session.version.maximumReceiveBufferByteCount
    let receive = memory.receive.slice.slice(at: 0, count: min(memory.receive.slice.byteCount, limit))
    let receiveGPADL = try announce(receive)
    nic.receiveGPADL = receiveGPADL
    let what = "the receive buffer"
    let answer = try exchange.transact(
      .receiveBuffer(NVSPBuffer(gpadl: receiveGPADL, id: NVSPBuffer.receiveBufferID)), what)
    guard case .receiveBuffer(let status, let section) = answer else {
      throw .protocolFault("another message than SEND_RECV_BUF_COMPLETE")
    }
    guard status == .success else { throw .refused(what: what, status: status.rawValue) }
    guard let section, section.isUsable(bufferByteCount: receive.byteCount) else {
      throw .protocolFault("a division of the receive buffer that is not possible")
    }
    nic.session.receiveSection = section
    primary.startReceiving(subAllocationCount: Int(section.subAllocationCount))
    let sendGPADL = try announce(memory.send.slice)
    nic.sendGPADL = sendGPADL
    guard
      case .sendBuffer(let sent, let size) = try exchange.transact(
        .sendBuffer(NVSPBuffer(gpadl: sendGPADL, id: 0)), "the send buffer")
    else { throw .protocolFault("another message than SEND_SEND_BUF_COMPLETE") }
    guard sent == .success else { throw .refused(what: "the send buffer", status: sent.rawValue) }
    guard Int(size) >= QueueSetup.minimumSectionByteCount, size % 4 == 0,
      Int(size) <= memory.send.slice.byteCount / options.queueCount
    else { throw .protocolFault("sections of the send buffer of \(size) bytes") }
    nic.session.sendSectionByteCount = Int(size)
  }

  private func announce(_ slice: MemorySlice) throws(ChannelError) -> UInt32 {
    do throws(ChannelError) {
      return try device.createGPADL(slice)
    } catch {
      // A host that did not answer may use the memory one day.
      if case .timedOut = error { memory.taint() }
      throw error
    }
  }

  // MARK: RNDIS

  private func query(
    _ exchange: ControlExchange, _ oid: OID, _ what: String, _ input: [UInt8] = []
  ) throws(ChannelError) -> [UInt8] {
    let id = control.post(isAwaited: true) { ControlMessages.query($0, oid, input) }
    return try ControlMessages.result(try exchange.reply(to: id, what), what)
  }

  private func set(
    _ exchange: ControlExchange, _ oid: OID, _ value: [UInt8], _ what: String
  ) throws(ChannelError) {
    let id = control.post(isAwaited: true) { ControlMessages.set($0, oid, value) }
    try ControlMessages.check(try exchange.reply(to: id, what), what)
  }

  /// The result of a query that a host may refuse.
  private func optional(
    _ exchange: ControlExchange, _ oid: OID, _ what: String, _ input: [UInt8] = []
  ) throws(ChannelError) -> [UInt8]? {
    do throws(ChannelError) {
      return try query(exchange, oid, what, input)
    } catch {
      if case .refused = error { return nil }
      throw error
    }
  }

  private mutating func initializeRNDIS(_ exchange: ControlExchange) throws(ChannelError) {
    let id = control.post(isAwaited: true) { ControlMessages.initialize($0) }
    nic.session.limits = try ControlMessages.limits(try exchange.reply(to: id, "RNDIS INITIALIZE"), "RNDIS INITIALIZE")
    // Some hosts start with a filter that lets frames pass.
    try set(exchange, .currentPacketFilter, ControlMessages.word(0), "the packet filter")
    let version = nic.session.version
    nic.session.mtu = options.mtu
    if let frame = try optional(exchange, .maximumFrameSize, "the maximum frame size"), frame.count >= 4 {
      let limit = Int(frame.rawSpan.le32(at: 0))
      guard limit >= 68 else { throw .protocolFault("a maximum frame of \(limit) bytes") }
      nic.session.mtu = min(options.mtu, limit)
    }
    let address = try query(exchange, .permanentAddress, "the address of the NIC")
    guard address.count >= 6, let parsed = try? MACAddress(parsing: address.rawSpan), parsed.isUsable else {
      throw .protocolFault("an address that no NIC has")
    }
    nic.session.address = parsed
    try negotiateOffloads(exchange)
    var info = EthernetPortInfo(address: parsed, mtu: nic.session.mtu)
    if let status = try optional(exchange, .mediaConnectStatus, "the state of the medium"), status.count >= 4 {
      info.hasCarrier = MediaConnectStatus(rawValue: status.rawSpan.le32(at: 0)) == .connected
    }
    if version.hasSubChannels, let speed = try optional(exchange, .linkSpeed, "the link speed"), speed.count >= 4 {
      info.bitsPerSecond = NDISLinkSpeed.bitsPerSecond(word: speed.rawSpan.le32(at: 0))
    }
    if let own = options.address, own != parsed {
      try set(
        exchange, .rndisConfigurationParameter, RNDISConfigurationParameter(address: own).bytes, "the NIC's address")
      info.address = own
    }
    let found = info
    link.change { $0 = found }
  }

  private mutating func negotiateOffloads(_ exchange: ControlExchange) throws(ChannelError) {
    let version = nic.session.version
    let revision = version.offloadRevision
    let input = ControlMessages.request(
      type: NDISObjectHeader.offloadType, revision: revision, byteCount: NDISOffload.byteCount(revision: revision))
    // A host that tells nothing does nothing: all is done here then.
    guard let bytes = try optional(exchange, .offloadHardwareCapabilities, "the offload capabilities", input) else {
      return
    }
    do throws(NetvscError) { nic.session.offered = try NDISOffload(parsing: bytes.rawSpan) } catch {
      throw .protocolFault("offload capabilities: \(error)")
    }
    let coalesces = options.coalesces && version.hasReceiveCoalescing
    nic.session.isCoalescing = coalesces && (nic.session.offered.coalesces4 || nic.session.offered.coalesces6)
    try set(
      exchange, .offloadParameters,
      ControlMessages.offloadParameters(nic.session.offered, version: version, coalesces: coalesces),
      "the offload parameters")
  }

  // MARK: Sub-channels

  private mutating func openSubChannels(_ exchange: ControlExchange) throws(ChannelError) {
    guard nic.session.version.hasSubChannels, options.queueCount > 1, device.maximumSubChannelCount > 0 else { return }
    let input = ControlMessages.request(
      type: NDISObjectHeader.rssCapabilitiesType, revision: 2, byteCount: RSSCapabilities.byteCount)
    guard let bytes = try optional(exchange, .receiveScaleCapabilities, "the scaling capabilities", input),
      let capabilities = try? RSSCapabilities(parsing: bytes.rawSpan)
    else { return }
    let wanted = min(
      options.queueCount - 1, Int(clamping: capabilities.receiveQueueCount) - 1, device.maximumSubChannelCount)
    guard wanted > 0 else { return }
    let request = NVSPSubChannelRequest(count: UInt32(wanted))
    guard case .subChannels(let status, let granted) = try exchange.transact(.subChannels(request), "sub-channels")
    else { throw .protocolFault("another message than SUBCHANNEL") }
    // A host that gives none leaves the primary channel.
    guard status == .success, granted > 0 else { return }
    guard Int(granted) <= wanted else { throw .protocolFault("\(granted) sub-channels instead of \(wanted)") }
    let channels = try device.openSubChannels(
      Int(granted), ringByteCount: options.ringByteCount, milliseconds: options.stepMilliseconds)
    for channel in channels {
      let queue = try addQueue(channel)
      queue.startReceiving(subAllocationCount: Int(nic.session.receiveSection.subAllocationCount))
    }
    guard nic.ports.count > 1 else { return }
    let entries = Int(capabilities.indirectionEntryCount ?? RSSCapabilities.maximumIndirectionEntryCount)
    let entryCount = min(max(1, entries), Int(RSSCapabilities.maximumIndirectionEntryCount))
    for flags in [RSSParameters.Flags.disable, []] {
      try set(
        exchange, .receiveScaleParameters,
        ControlMessages.scaling(flags, entryCount: entryCount, queueCount: nic.ports.count), "receive-side scaling")
    }
  }

  private func start(_ queue: NetvscQueue, _ index: Int) throws(ChannelError) {
    let session = nic.session
    let size = session.sendSectionByteCount
    let perQueue = memory.send.slice.byteCount / size / nic.ports.count
    let overflow = try memory.overflow(index, device, options)
    queue.start(
      QueueSetup(
        receiveBuffer: memory.receive.slice, subAllocationByteCount: Int(session.receiveSection.subAllocationByteCount),
        subAllocationCount: Int(session.receiveSection.subAllocationCount),
        sendSections: memory.send.slice.slice(at: index * perQueue * size, count: perQueue * size),
        sectionByteCount: size, firstSection: index * perQueue, overflow: overflow.slice,
        overflowAddress: overflow.address, offloads: TransmitOffloads(session.offered), mtu: session.mtu))
  }
}
