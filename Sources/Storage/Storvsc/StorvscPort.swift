import LinuxIO
import SCSI
import StorvscProtocol
import Synchronization
import VMBusChannel

/// A channel on its way from one thread to another.
struct ChannelHandover: @unchecked Sendable {
  // Sendable, because the giver stops using the channel before it stores this value under a port's lock, and only the
  // one thread that takes it out of there uses it afterwards.
  let channel: Channel
}

/// A SCSI command of the control thread.
struct ControlCommand: Sendable {
  var cdb: CommandDescriptorBlock
  var target: UInt8
  var lun: UInt8
  var direction: DataDirection
  /// The bytes to move, to or from `guestAddress`.
  var byteCount: Int
  var guestAddress: UInt64
}

/// How a command of the control thread ended.
struct ControlReply: Sendable {
  var status: NTStatus
  var request: SCSIRequest
}

/// The place of a channel in the controller: it stays when the channel is lost, and gets the next one.
///
/// A channel belongs to one thread at a time. It lies here while nobody has a queue on it; a queue claims the port and
/// takes the channel out. What the control thread wants of a claimed port it leaves in the mailbox, rings `wake`, and
/// waits for the answer.
final class StorvscPort: Sendable {
  enum Order: Sendable {
    /// Stop using the channel; requests wait.
    case detach
    /// Go on over this channel.
    case attach(ChannelHandover)
    /// There is no channel to come: fail the requests.
    case fail
  }

  struct State {
    var isClaimed = false
    var isBorrowed = false
    /// The channel, while no queue has it.
    var channel: ChannelHandover?
    /// Whether the queue uses a channel.
    var queueHasChannel = false
    var order: Order?
    var command: ControlCommand?
    var reply: ControlReply?
    var commandFailed = false
    /// Generations of transaction ids that were used up.
    var generation: UInt32 = 1
  }

  /// 0 for the primary channel, else the index of the sub-channel.
  let index: Int
  /// Wakes the owner of the queue.
  let wake: EventFD
  /// Whether the mailbox has something; read by the queue on every turn.
  let hasMail = Atomic<Bool>(false)
  let counters = StorvscQueueCounters()
  let state = Monitor(State())

  init(index: Int) throws(Errno) {
    self.index = index
    wake = try EventFD()
  }

  /// Leaves an order for the queue.
  func post(_ order: Order) {
    state.withLock { $0.order = order }
    hasMail.store(true, ordering: .releasing)
    wake.signal()
  }

  /// Carries `command` out by the queue's thread.
  ///
  /// - Throws: `.timedOut`, `.lost`.
  func execute(_ command: ControlCommand, milliseconds: Int) throws(ChannelError) -> ControlReply {
    state.withLock {
      $0.command = command
      $0.reply = nil
      $0.commandFailed = false
    }
    hasMail.store(true, ordering: .releasing)
    wake.signal()
    let reply: ControlReply?? = state.wait(milliseconds: milliseconds) { state -> ControlReply?? in
      if let reply = state.reply { return .some(reply) }
      return state.commandFailed ? .some(nil) : nil
    }
    guard let ended = reply else {
      state.withLock { $0.command = nil }
      throw .timedOut(what: "a SCSI command")
    }
    guard let answer = ended else { throw .lost }
    return answer
  }

  /// Takes the channel for a new queue; nil when there is none, or another queue has it.
  func claim() -> (ChannelHandover, generation: UInt32)? {
    state.wait(milliseconds: 60_000) { state -> (ChannelHandover, generation: UInt32)?? in
      if state.isBorrowed { return nil }
      guard !state.isClaimed, let channel = state.channel else { return .some(nil) }
      state.isClaimed = true
      state.channel = nil
      state.queueHasChannel = true
      return .some((channel, state.generation))
    } ?? nil
  }

  /// The queue ends. `channel` is nil where it was lost; it stays claimed when the host may still answer old requests.
  func unclaim(_ channel: ChannelHandover?, generation: UInt32, isUsable: Bool) {
    state.withLock { state in
      state.generation = generation
      state.queueHasChannel = false
      state.commandFailed = true
      guard isUsable else { return }
      state.isClaimed = false
      state.channel = channel
      if case .attach(let handover) = state.order { state.channel = handover }
      state.order = nil
    }
  }
}
