import Ethernet
import LinuxIO
import NetvscProtocol
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

/// A channel of the NIC: frames both ways. It belongs to one thread at a time: the owner that `makeQueue` gave it to, or
/// the control thread before and after.
///
/// What the host sends goes through `takePackets`: completions free their slots at once, ranges with frames are copied to
/// `arrivals` and wait there for `forward`. So a sink that takes nothing never keeps completions back.
final class NetvscQueue: EthernetQueue {
  let port: NetvscPort
  let channel: Channel
  let counters: NetvscQueueCounters
  let link: LinkState
  /// Only on the primary channel.
  let control: ControlLink?
  let controlPage: MemorySlice
  let controlAddress: UInt64
  var setup: QueueSetup?

  /// Why the queue is of no use any more.
  private(set) var fault: ChannelError?

  // Receiving.
  var arrivals = ArrivalQueue(subAllocationCount: 0)
  var replies = ReplyQueue(capacity: 64)
  /// Packets in `arrivals` and the open one: each owes a reply.
  var arrivedPacketCount = 0
  var openPacket: UInt64 = 0
  var isPacketOpen = false
  var hasPacketFailed = false
  var rangesLeft = 0
  var coalesced = CoalescedFrame()
  /// The pieces of the frame that is put together, or was not taken by the sink yet.
  var frameTable = ScatterTable(capacity: CoalescedFrame.maximumFragmentCount + 2)
  var frameInformation = PacketInformation()
  var frameHeaderByteCount = 0
  var frameOffload = FrameOffload.plain
  var isFrameReady = false
  /// Whether the sink took no more in the last `forward`.
  var isSinkFull = false
  /// The number of the last NVSP control request, and what its completion said, for the control thread.
  var controlSequence: UInt64 = 0
  var controlReply: [UInt8]?

  // Sending.
  var slots: [SendSlot] = []
  var freeSlots = FreeList()
  var freeOverflows = FreeList()
  /// Slots that found no room in the ring, in order.
  var toSend = FixedQueue(capacity: 1)
  var outstandingCount = 0
  var roomTable = ScatterTable(capacity: 2)
  /// The slot that the last `reserve` gave; -1 if it was used.
  var reserved = -1
  var cut: CutState?
  var controlMessage: [UInt8]?

  // Turns.
  var isRingFull = false
  var hasUnflushed = false
  private var isMasked = false
  private var isWaiting = false
  private let readiness: Epoll

  // Private memory: the headers of the frame that goes to a sink, and copies to work on.
  let headerPiece: MemorySlice
  private let headerMemory: MemoryRegion
  var frameHeaders = [UInt8](repeating: 0, count: LentFrame.copiedHeaderByteCount)
  var messageHead = [UInt8](repeating: 0, count: NetvscQueue.messageHeadByteCount)
  var informationList = [UInt8](repeating: 0, count: NetvscQueue.maximumInformationByteCount)
  var sendHeaders = [UInt8](repeating: 0, count: NetvscQueue.sendHeaderByteCount)
  var sendMessageHead = [UInt8](repeating: 0, count: NetvscQueue.messageHeadByteCount)
  var sumBuffer = [UInt8](repeating: 0, count: 4096)
  var packetPayload = [UInt8](repeating: 0, count: NVSPRequest.byteCount)
  private var replyPayload = [UInt8](repeating: 0, count: NVSPCompletion.receiveByteCount)

  /// Bytes of an RNDIS message that are copied at once: the header, and the per-packet information of every known peer.
  static let messageHeadByteCount = 160
  /// The longest list of per-packet information that is looked at.
  static let maximumInformationByteCount = 1024
  /// Bytes at the start of a frame to be sent that offloads look at: IPv4 and TCP with all their options.
  static let sendHeaderByteCount = 192
  /// Where frames start in a section that was reserved: behind the longest RNDIS header.
  static let roomOffset = 128
  /// The slot part of the ids of control requests; no queue has so many slots.
  static let nvspControlSlot: UInt64 = 0xffff_ffff
  static let rndisControlID: UInt64 = 0xffff_fffe

  init(
    port: NetvscPort, channel: Channel, link: LinkState, control: ControlLink?, controlPage: MemorySlice,
    controlAddress: UInt64
  ) throws(Errno) {
    self.port = port
    self.channel = channel
    self.link = link
    self.control = control
    self.controlPage = controlPage
    self.controlAddress = controlAddress
    counters = port.counters
    headerMemory = try MemoryRegion(anonymous: pageByteCount)
    headerPiece = headerMemory.slice
    readiness = try Epoll(capacity: 4)
    try readiness.add(port.wake.descriptor, token: 1)
    if channel.waitDescriptor >= 0 { try readiness.add(channel.waitDescriptor, token: 0) }
  }

  /// Tells the buffers; once, before frames may pass.
  func start(_ setup: QueueSetup) {
    let count = setup.sendSections.byteCount / setup.sectionByteCount
    let overflowCount = setup.overflow.byteCount / QueueSetup.overflowByteCount
    slots = Array(repeating: SendSlot(), count: count)
    freeSlots = FreeList(0..<count)
    freeOverflows = FreeList(0..<overflowCount)
    toSend = FixedQueue(capacity: count)
    self.setup = setup
  }

  /// Tells how the host divides the receive buffer; the primary gets it first, since RNDIS control comes through it.
  func startReceiving(subAllocationCount: Int) {
    flush()
    arrivals = ArrivalQueue(subAllocationCount: subAllocationCount)
    replies = ReplyQueue(capacity: min(subAllocationCount, 65_536) + 64)
  }

  /// The id of the last NVSP control request.
  var controlID: UInt64 { controlSequence << 32 | Self.nvspControlSlot }

  var readinessDescriptor: Int32 { readiness.descriptor }

  var isEnded: Bool { fault != nil || channel.isLost || port.isStopped }

  func close() {
    if reserved >= 0 {
      release(reserved)
      reserved = -1
    }
    isSinkFull = false
    port.unclaim()
  }

  // MARK: Turns

  /// Resets what may have woken the owner, and sends what waits.
  func beginTurn() {
    if isWaiting {
      isWaiting = false
      let count = readiness.wait(milliseconds: 0)
      for index in 0..<count {
        if readiness.token(at: index) == 0 { channel.acknowledgeSignal() } else { port.wake.drain() }
      }
    }
    if isRingFull || !replies.isEmpty || control?.hasSomethingToSend == true { writeWaiting() }
  }

  /// Takes what the host has sent. Answers whether there was anything.
  @discardableResult
  func takePackets() -> Bool {
    guard fault == nil else { return false }
    channel.pollPeer()
    var count = 0
    do throws(ChannelError) {
      // A host that writes without end must not keep the owner from its other work.
      while count < 1024, arrivals.hasRoom, replies.freeCount > arrivedPacketCount {
        guard try channel.receive({ take($0, $1) }) != nil else { break }
        count += 1
      }
      if count > 0 {
        // The space is given back with the next flush.
        hasUnflushed = true
        if !isMasked {
          isMasked = true
          channel.maskInterrupts()
        }
      }
      if channel.isLost { throw .lost }
    } catch {
      end(error)
    }
    return count > 0
  }

  /// Writes what is owed to the host, as far as the ring has room: completions first, none is ever lost.
  func writeWaiting() {
    guard fault == nil else { return }
    do throws(ChannelError) {
      isRingFull = false
      while !replies.isEmpty {
        let (id, answer) = replies.first
        let isWritten = try replyPayload.withMutableBytes { bytes throws(ChannelError) in
          guard answer != .empty else {
            return try channel.sendCompletion(transactionID: id, payload: bytes.bytes.extracting(first: 0))
          }
          NVSPCompletion.storeReceive(answer == .success ? .success : .failure, into: &bytes)
          return try channel.sendCompletion(transactionID: id, payload: bytes.bytes)
        }
        guard isWritten else { return ringIsFull() }
        replies.removeFirst()
        hasUnflushed = true
      }
      guard try writeControl() else { return ringIsFull() }
      while !toSend.isEmpty {
        guard try write(toSend.first) else { return ringIsFull() }
        toSend.removeFirst()
      }
    } catch {
      end(error)
    }
  }

  func ringIsFull() {
    if !isRingFull { counters.fullRings.add(1) }
    isRingFull = true
    hasUnflushed = true
  }

  func flush() {
    guard fault == nil else { return }
    if !replies.isEmpty || isRingFull || control?.hasSomethingToSend == true { writeWaiting() }
    if cut != nil { continueCutting() }
    guard hasUnflushed, fault == nil else { return }
    hasUnflushed = false
    let rung = channel.counters.doorbellsRung.value
    do throws(ChannelError) { try channel.flush() } catch { end(error) }
    counters.doorbells.add(channel.counters.doorbellsRung.value &- rung)
  }

  func prepareToWait(forRoom: Bool) -> Bool {
    isEnded || prepareToSleep(forRoom: forRoom) || isEnded
  }

  /// The same for the control thread, which goes on while the owner is to let go.
  func prepareToSleep(forRoom: Bool) -> Bool {
    flush()
    if fault != nil || hasUnflushed { return true }
    if !isSinkFull, isFrameReady || isPacketOpen || !arrivals.isEmpty { return true }
    if forRoom, hasRoom { return true }
    do throws(ChannelError) {
      if isRingFull, try channel.requestSpace(forPacketOf: longestWaitingByteCount) {
        writeWaiting()
        return true
      }
      if arrivals.hasRoom, replies.freeCount > arrivedPacketCount {
        isMasked = false
        if try channel.unmaskInterrupts() { return true }
      }
    } catch {
      end(error)
      return true
    }
    isWaiting = true
    return false
  }

  /// Sleeps until there is something to do, or `milliseconds` have passed; for the control thread.
  func sleep(milliseconds: Int) {
    _ = readiness.wait(milliseconds: Int32(milliseconds))
  }

  /// The queue is of no use any more.
  func end(_ error: ChannelError) {
    guard fault == nil else { return }
    fault = error
    switch error {
    case .lost: break
    default: counters.protocolFaults.add(1)
    }
    port.channelEnded(error)
  }
}
