import Ethernet
import LinuxIO
import SharedMemory
import Synchronization

/// Where the frames of one member go: those for the near member to a sink of the same thread, without a copy, those for
/// others into their inboxes.
///
/// A queue of a switch port has two of them. What its NIC sends has the queue of the uplink near; what the uplink
/// brings has the NIC near.
final class RoutingSink: EthernetSink {
  let router: FrameRouter
  /// The member that the frames come from.
  let source: MemberID
  /// The member that `nearSink` belongs to.
  let nearMember: MemberID
  /// The only address that the source may send from.
  let requiredAddress: MACAddress?
  /// Where frames for the near member wait when its sink is full and others must not wait for it.
  let overflow: FrameInbox?
  /// Nil while nobody is near.
  var nearSink: (any EthernetSink)?

  /// Room for a frame that the near sink has none for, mapped when it is needed first.
  private var ownRoom: MemoryRegion?
  private var tables = ScatterTables(count: 1)
  private var room: FrameRoom?
  private var roomIsNear = false
  /// Whether the near sink has refused a frame in this round.
  private(set) var nearIsFull = false

  init(
    _ router: FrameRouter, source: MemberID, nearMember: MemberID = SwitchMap.nobody,
    requiredAddress: MACAddress? = nil, overflow: FrameInbox? = nil
  ) {
    self.router = router
    self.source = source
    self.nearMember = nearMember
    self.requiredAddress = requiredAddress
    self.overflow = overflow
  }

  /// Begins a round; `nearIsFull` says that its sink has refused a frame already.
  func beginRound(nearIsFull: Bool) {
    self.nearIsFull = nearIsFull
  }

  private var activeNear: MemberID { nearSink == nil ? SwitchMap.nobody : nearMember }

  /// Whether the inspected frame goes to the near member.
  private func isForNear(_ target: FrameRouter.Target) -> Bool {
    guard nearSink != nil else { return false }
    switch target {
    case .nobody: return false
    case .member(let id): guard id == nearMember else { return false }
    case .everybody: break
    }
    if nearMember == SwitchMap.uplink { return true }
    guard let port = router.map.port(nearMember) else { return false }
    if port.accepts(router.destination) { return true }
    if target != .everybody { router.fabric.tally.filtered.add(1, ordering: .relaxed) }
    return false
  }

  /// Whether a frame that the near sink has no room for is taken from the source all the same.
  private var canOverflow: Bool {
    guard overflow != nil, let port = router.map.port(nearMember) else { return false }
    return router.map.ports.count > 1 || port.filter?.isClosed == true
  }

  func send(_ frame: LentFrame) -> Bool {
    let count = frame.byteCount
    let target = router.inspect(
      frame.bytes, start: 0, byteCount: count, from: source, requiredAddress: requiredAddress)
    if target == .nobody { return true }
    if isForNear(target), let nearSink {
      // First of all: a frame that is not taken comes again, and must not have reached others yet.
      if nearIsFull || !nearSink.send(frame) {
        guard canOverflow, let overflow else { return false }
        nearIsFull = true
        router.overflow(frame.bytes, start: 0, byteCount: count, offload: frame.offload, into: overflow)
      }
    }
    router.deliver(
      frame.bytes, start: 0, byteCount: count, offload: frame.offload, to: target, from: source, near: activeNear)
    return true
  }

  func reserve() -> FrameRoom? {
    if let nearSink {
      if !nearIsFull, let near = nearSink.reserve() {
        room = near
        roomIsNear = true
        return near
      }
      router.refresh()
      guard canOverflow else {
        room = nil
        return nil
      }
      nearIsFull = true
    }
    roomIsNear = false
    room = makeOwnRoom()
    return room
  }

  private func makeOwnRoom() -> FrameRoom? {
    // The space for a tag in front comes on top.
    if ownRoom == nil { ownRoom = try? MemoryRegion(anonymous: FrameRoom.maximumFrameByteCount + 64) }
    guard let ownRoom else { return nil }
    return FrameRoom(bytes: tables.list(of: ownRoom.slice, slot: 0))
  }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    guard let room else { return }
    self.room = nil
    let target = router.inspect(
      room.bytes, start: start, byteCount: byteCount, from: source, requiredAddress: requiredAddress)
    if target == .nobody { return }
    let isForNear = isForNear(target)
    // Others first: the near sink takes the room away.
    router.deliver(
      room.bytes, start: start, byteCount: byteCount, offload: offload, to: target, from: source, near: activeNear)
    guard isForNear, let nearSink else { return }
    if roomIsNear {
      nearSink.commit(start: start, byteCount: byteCount, offload: offload)
    } else if let overflow {
      // `deliver` asks no responder here: a near member is a port, or an uplink with queues.
      router.overflow(room.bytes, start: start, byteCount: byteCount, offload: offload, into: overflow)
    }
  }

  func flush() {
    nearSink?.flush()
    router.finishRound()
  }
}
