import Ethernet
import SharedMemory
import Synchronization
import WireBytes

/// Finds out where a frame goes, and brings it to the inboxes of members; one for each thread.
final class FrameRouter {
  /// Where a frame goes.
  enum Target: Equatable {
    case nobody
    case member(MemberID)
    /// All that want it, the source excepted.
    case everybody
  }

  let fabric: SwitchFabric
  private(set) var map: SwitchMap
  /// The first bytes of the frame that was inspected last, and how many.
  private var header = [UInt8](repeating: 0, count: LentFrame.copiedHeaderByteCount)
  private var headerByteCount = 0
  private(set) var destination = MACAddress.zero
  private var now: UInt64 = 0
  private var clockIsStale = true
  private var responderBytes: [UInt8] = []

  init(_ fabric: SwitchFabric) {
    self.fabric = fabric
    map = fabric.map
  }

  /// Takes the newest map; cheap when there is no newer one.
  func refresh() {
    if fabric.generation.load(ordering: .acquiring) != map.generation { map = fabric.map }
  }

  /// A round is over: the clock is read again for the next one.
  func finishRound() { clockIsStale = true }

  /// Looks at the frame of `byteCount` bytes that starts `start` bytes into `bytes`, and learns where its sender is.
  ///
  /// The headers are copied, then looked at; `deliver` passes on the copy.
  ///
  /// - Parameter requiredAddress: the only address that the source may send from.
  /// - Returns: `.nobody` for a frame that is dropped; it has been counted.
  func inspect(
    _ bytes: ScatterList, start: Int, byteCount: Int, from source: MemberID, requiredAddress: MACAddress?
  ) -> Target {
    refresh()
    guard byteCount >= 14, byteCount <= FrameRoom.maximumFrameByteCount, start >= 0,
      start <= bytes.byteCount - byteCount
    else {
      fabric.tally.malformed.add(1, ordering: .relaxed)
      return .nobody
    }
    headerByteCount = min(byteCount, header.count)
    let count = headerByteCount
    header.withMutableBytes { span in
      var part = span._mutatingExtracting(0..<count)
      bytes.copyOut(from: start, into: &part)
    }
    return decide(from: source, requiredAddress: requiredAddress)
  }

  /// The same for a frame in private memory.
  func inspect(_ bytes: RawSpan, from source: MemberID) -> Target {
    refresh()
    guard bytes.byteCount >= 14, bytes.byteCount <= FrameRoom.maximumFrameByteCount else { return .nobody }
    headerByteCount = min(bytes.byteCount, header.count)
    let count = headerByteCount
    header.withMutableBytes { span in span.store(bytes.extracting(0..<count), at: 0) }
    return decide(from: source, requiredAddress: nil)
  }

  private func decide(from source: MemberID, requiredAddress: MACAddress?) -> Target {
    let (first, second) = header.withMutableBytes { ($0.bytes.be64(at: 0), $0.bytes.be32(at: 8)) }
    let sender = MACAddress(value: first << 32 | UInt64(second))
    destination = MACAddress(value: first >> 16)
    guard sender.isUsable else {
      fabric.tally.malformed.add(1, ordering: .relaxed)
      return .nobody
    }
    if let requiredAddress, sender != requiredAddress {
      fabric.tally.spoofed.add(1, ordering: .relaxed)
      return .nobody
    }
    if clockIsStale {
      now = fabric.options.clock()
      clockIsStale = false
    }
    if fabric.table.learn(sender, member: source, now: now) == .moved {
      fabric.tally.moves.add(1, ordering: .relaxed)
    }
    if destination.isMulticast {
      // IEEE 802.1D: these sixteen groups end at the next bridge.
      return destination.value & ~0xf == 0x0180_c200_0000 ? .nobody : .everybody
    }
    guard let member = fabric.table.member(of: destination, now: now) else { return .everybody }
    // Never back to where it came from.
    if member == source { return .nobody }
    // A thread that had not heard yet that the port is gone may have learned the station there.
    return member == SwitchMap.uplink || map.port(member) != nil ? .member(member) : .everybody
  }

  /// Copies the inspected frame to the inboxes of all members that `target` names, but `source` and `near`.
  func deliver(
    _ bytes: ScatterList, start: Int, byteCount: Int, offload: FrameOffload, to target: Target,
    from source: MemberID, near: MemberID
  ) {
    switch target {
    case .nobody: break
    case .member(let id):
      if id == near || id == source { return }
      if id == SwitchMap.uplink {
        deliverToUplink(bytes, start: start, byteCount: byteCount, offload: offload)
      } else if let port = map.port(id) {
        push(bytes, start: start, byteCount: byteCount, offload: offload, to: port)
      }
    case .everybody:
      for port in map.ports where port.id != near && port.id != source {
        // What is flooded and refused is no loss worth counting.
        guard port.accepts(destination) else { continue }
        push(bytes, start: start, byteCount: byteCount, offload: offload, to: port)
      }
      if near != SwitchMap.uplink, source != SwitchMap.uplink {
        deliverToUplink(bytes, start: start, byteCount: byteCount, offload: offload)
      }
    }
  }

  private func push(
    _ bytes: ScatterList, start: Int, byteCount: Int, offload: FrameOffload, to port: SwitchMap.Port
  ) {
    guard port.accepts(destination) else {
      fabric.tally.filtered.add(1, ordering: .relaxed)
      return
    }
    guard let inbox = withHeaders({ port.inbox(for: $0) }) else { return }
    overflow(bytes, start: start, byteCount: byteCount, offload: offload, into: inbox)
  }

  private func deliverToUplink(_ bytes: ScatterList, start: Int, byteCount: Int, offload: FrameOffload) {
    if let responder = fabric.responder {
      return ask(responder, bytes, start: start, byteCount: byteCount, offload: offload)
    }
    let inboxes = map.uplinkInboxes
    guard !inboxes.isEmpty else { return }
    let index = inboxes.count == 1 ? 0 : Int(withHeaders { FlowHash.of($0) } % UInt32(inboxes.count))
    if !copy(bytes, start: start, byteCount: byteCount, offload: offload, into: inboxes[index]) {
      fabric.tally.uplinkFull.add(1, ordering: .relaxed)
    }
  }

  /// Puts the inspected frame into `inbox`, whoever it belongs to.
  func overflow(_ bytes: ScatterList, start: Int, byteCount: Int, offload: FrameOffload, into inbox: FrameInbox) {
    if !copy(bytes, start: start, byteCount: byteCount, offload: offload, into: inbox) {
      fabric.tally.inboxFull.add(1, ordering: .relaxed)
    }
  }

  private func copy(
    _ bytes: ScatterList, start: Int, byteCount: Int, offload: FrameOffload, into inbox: FrameInbox
  ) -> Bool {
    withHeaders {
      inbox.push(header: $0, room: bytes, start: start, byteCount: byteCount, offload: offload)
    }
  }

  /// Calls `body` with the headers of the inspected frame.
  private func withHeaders<R>(_ body: (RawSpan) -> R) -> R {
    let header = header
    return body(header.rawSpan.extracting(0..<headerByteCount))
  }

  private func ask(
    _ responder: any FrameResponder, _ bytes: ScatterList, start: Int, byteCount: Int, offload: FrameOffload
  ) {
    // Unknown stations are not the responder.
    guard destination == responder.address || destination.isMulticast else { return }
    // Replies overwrite what is known of the frame: nothing of it is used afterwards.
    if responderBytes.isEmpty { responderBytes = [UInt8](repeating: 0, count: FrameRoom.maximumFrameByteCount) }
    var frame: [UInt8] = []
    swap(&frame, &responderBytes)
    frame.withMutableBytes { span in
      var whole = span._mutatingExtracting(0..<byteCount)
      bytes.copyOut(from: start, into: &whole)
    }
    withHeaders { headers in frame.withMutableBytes { $0.store(headers, at: 0) } }
    responder.respond(to: frame.rawSpan.extracting(0..<byteCount), offload: offload) { reply, offload in
      self.deliver(reply, offload: offload, from: SwitchMap.uplink)
    }
    swap(&frame, &responderBytes)
  }

  /// Brings a frame of the responder to the ports.
  private func deliver(_ bytes: RawSpan, offload: FrameOffload, from source: MemberID) {
    let target = inspect(bytes, from: source)
    for port in map.ports {
      guard target == .everybody || target == .member(port.id), port.accepts(destination),
        let inbox = withHeaders({ port.inbox(for: $0) })
      else { continue }
      if !inbox.push(bytes, offload: offload) { fabric.tally.inboxFull.add(1, ordering: .relaxed) }
    }
  }
}
