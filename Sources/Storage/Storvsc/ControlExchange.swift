import LinuxIO
import SCSI
import StorvscProtocol
import VMBusChannel
import VMBusProtocol
import WireBytes

/// Drives the primary channel from the control thread: one request at a time, each with a bounded wait.
struct ControlExchange {
  let channel: Channel
  let milliseconds: Int
  /// Told of unsolicited notices.
  let busChanged: () -> Void

  /// The slot part of the ids of control requests; no queue has so many slots.
  static let slot: UInt64 = 0xffff

  /// The longest time between two looks at the channel, in milliseconds.
  private static let lookMilliseconds: Int = 1_000

  // MARK: Initialization

  /// What the initialization found out.
  struct Session: Sendable, Equatable {
    var version: StorvscVersion
    var maximumTransferByteCount: Int
    var maximumSubChannelCount: Int
  }

  /// Runs the steps that a channel starts with: BEGIN, the version (newest first), the properties, END.
  ///
  /// - Throws: `.refused`, `.protocolFault`, and what `transact` throws.
  func initialize(maximumTransferByteCount limit: Int) throws(ChannelError) -> Session {
    try step(.beginInitialization)
    let version = try negotiateVersion()
    let reply = try transact(.queryProperties) { _ in }
    try require(reply, "the properties query")
    let properties: ChannelProperties
    do throws(StorvscError) {
      properties = try ChannelProperties(parsing: reply.payload.rawSpan)
    } catch {
      throw .protocolFault("properties: \(error)")
    }
    let transfer = Int(min(properties.maximumTransferByteCount, 1 << 30)) & ~4095
    guard transfer > 0 else {
      throw .protocolFault("a maximum transfer of \(properties.maximumTransferByteCount) bytes")
    }
    try step(.endInitialization)
    let hasSubChannels = version.hasSubChannels && properties.flags.contains(.multiChannel)
    return Session(
      version: version, maximumTransferByteCount: min(transfer, limit),
      maximumSubChannelCount: hasSubChannels ? Int(properties.maximumSubChannelCount) : 0)
  }

  private func negotiateVersion() throws(ChannelError) -> StorvscVersion {
    var status = NTStatus.success
    for version in StorvscVersion.newestFirst where version.hasLongRequests {
      let reply = try transact(.queryProtocolVersion) { VersionBlock(version).store(into: &$0) }
      status = reply.status
      guard status == .success else { continue }
      guard let echo = try? VersionBlock(parsing: reply.payload.rawSpan), echo.version == version else {
        throw .protocolFault("the host accepted another version than \(version)")
      }
      return version
    }
    throw .refused(what: "every version from 5.1 to 6.2", status: status.rawValue)
  }

  /// Asks for `count` sub-channels; after END.
  func createSubChannels(_ count: Int) throws(ChannelError) {
    let reply = try transact(.createSubChannels) { SubChannelCount(UInt16(count)).store(into: &$0) }
    try require(reply, "\(count) sub-channels")
  }

  private func step(_ operation: StorvscOperation) throws(ChannelError) {
    try require(transact(operation) { _ in }, "\(operation)")
  }

  private func require(_ reply: Reply, _ what: String) throws(ChannelError) {
    guard reply.status == .success else { throw .refused(what: what, status: reply.status.rawValue) }
  }

  // MARK: Requests

  /// A completion: its status and its payload of 64 bytes.
  struct Reply {
    var status: NTStatus
    var payload: [UInt8]
  }

  /// Sends a request without data and waits for its answer.
  func transact(
    _ operation: StorvscOperation, id: UInt64 = 1 << 32 | (slot + 1), fill: (inout MutableRawSpan) -> Void
  ) throws(ChannelError) -> Reply {
    let payload = [UInt8](zeroed: StorvscPacket.byteCount) { bytes in
      StorvscPacket.request(operation).store(into: &bytes)
      fill(&bytes)
    }
    return try exchange(id, "\(operation)") { () throws(ChannelError) in
      try channel.sendInBand(transactionID: id, requestsCompletion: true, payload: payload.rawSpan)
    }
  }

  /// Carries out a SCSI command.
  func execute(_ command: ControlCommand, version: StorvscVersion, generation: UInt32) throws(ChannelError)
    -> ControlReply
  {
    let id = UInt64(generation) << 32 | (Self.slot + 1)
    let payload = [UInt8](zeroed: StorvscPacket.byteCount) { bytes in
      StorvscPacket.request(.executeSRB).store(into: &bytes)
      var request = SCSIRequest(
        command.cdb, lun: command.lun, direction: command.direction, dataByteCount: UInt32(command.byteCount))
      request.targetID = command.target
      request.store(into: &bytes, version: version)
    }
    let reply = try exchange(id, "a SCSI command") { () throws(ChannelError) in
      if command.byteCount == 0 {
        return try channel.sendInBand(transactionID: id, requestsCompletion: true, payload: payload.rawSpan)
      }
      return try channel.sendGPADirect(
        transactionID: id, guestAddress: command.guestAddress, byteCount: command.byteCount, payload: payload.rawSpan)
    }
    guard let request = try? SCSIRequest(parsing: reply.payload.rawSpan, version: version) else {
      throw .protocolFault("a completion that is no SCSI request")
    }
    return ControlReply(status: reply.status, request: request)
  }

  /// Takes what lies in the ring without waiting: notices, and answers that nobody waits for.
  func poll() throws(ChannelError) {
    channel.pollPeer()
    channel.acknowledgeSignal()
    for _ in 0..<1024 {
      guard let packet = try channel.receive({ HostPacket($0, $1) }) else { break }
      if packet.kind == .busChanged { busChanged() }
    }
    try channel.flush()
    if channel.isLost { throw .lost }
  }

  private func exchange(
    _ id: UInt64, _ what: String, send: () throws(ChannelError) -> Bool
  ) throws(ChannelError) -> Reply {
    let readiness: Epoll
    do throws(Errno) {
      readiness = try Epoll()
      if channel.waitDescriptor >= 0 { try readiness.add(channel.waitDescriptor, token: 0) }
    } catch {
      throw .system(what: "epoll", error)
    }
    let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    var isSent = false
    var strangers = 0
    while true {
      if !isSent {
        isSent = try send()
        try channel.flush()
      }
      channel.pollPeer()
      let received: (HostPacket, [UInt8])?? = try channel.receive { descriptor, packet in
        let parsed = HostPacket(descriptor, packet)
        guard parsed.kind == .completion, parsed.transactionID == id else { return (parsed, []) }
        return (parsed, packet.array(from: descriptor.payloadOffset, count: StorvscPacket.byteCount))
      }
      if case .some(.some(let (parsed, payload))) = received {
        try channel.flush()
        if parsed.kind == .completion, parsed.transactionID == id {
          return Reply(status: parsed.status, payload: payload)
        }
        if parsed.kind == .busChanged { busChanged() }
        // Answers to requests that were given up come once each; a host that goes on is not to be trusted.
        strangers += 1
        if strangers > 4096 { throw .protocolFault("a flood of packets during \(what)") }
        continue
      }
      if channel.isLost { throw .lost }
      if try channel.unmaskInterrupts() { continue }
      let now = monotonicNanoseconds()
      if now >= deadline { throw .timedOut(what: what) }
      // A full ring is looked at again soon: nobody is asked for a signal here.
      let look = isSent ? Self.lookMilliseconds : 1
      let wait = min(look, Int((deadline - now) / 1_000_000) + 1)
      if readiness.wait(milliseconds: Int32(wait)) > 0 { channel.acknowledgeSignal() }
    }
  }
}
