public import LinuxIO
import SharedMemory
import Synchronization
public import VMBusChannel
import VMBusProtocol
public import VMBusServer
import WireBytes

/// A transport that stands in for a hypervisor and for what a guest's kernel does with its SynIC: messages are taken out of
/// the slot of processor 0, event flags become wake-ups, signals go to connections.
public final class HypervisorTransport: BusTransport {
  private let server: VMBusServer

  /// Guests of `server`.
  public init(server: VMBusServer) {
    self.server = server
  }

  /// Attaches a machine with one processor.
  public func connect(
    memory: SharedGuestMemory, receiver: any BusReceiver
  ) throws(ChannelError) -> any BusLink {
    do throws(Errno) { return try FakeMachine(server: server, memory: memory, receiver: receiver) } catch {
      throw .system(what: "attaching to the host", error)
    }
  }
}

/// A machine with one processor, whose kernel has a SynIC and nothing else.
public final class FakeMachine: BusLink, GuestHypervisor {
  private struct State {
    var connections: [UInt32: EventFD] = [:]
    var listeners: [UInt32: EventFD] = [:]
    var thread: WorkerThread?
    var guest: HypervisorGuest?
  }

  /// The guest physical address of the page of messages; that of event flags follows it.
  public static let synicAddress: UInt64 = 1 << 40

  private let pages: SharedGuestMemory
  private let raised: EventFD
  private let receiver: any BusReceiver
  private let state = Mutex(State())
  private let mustStop = Atomic<Bool>(false)
  private let endReason = Mutex<String?>(nil)

  init(server: VMBusServer, memory: SharedGuestMemory, receiver: any BusReceiver) throws(Errno) {
    pages = try SharedGuestMemory(
      file: MemoryFile(name: "synic", byteCount: 2 * pageByteCount), guestAddress: Self.synicAddress)
    raised = try EventFD()
    self.receiver = receiver
    let guest = try server.attach(memory: [memory, pages], processorCount: 1, hypervisor: self)
    let thread = try WorkerThread(name: "fake-cpu") { [self] in serve(guest) }
    state.withLock { state in
      state.thread = thread
      state.guest = guest
    }
    guest.setSynIC(
      vp: 0, control: 1, eventFlagPage: Self.synicAddress + UInt64(pageByteCount) | 1,
      messagePage: Self.synicAddress | 1)
  }

  /// What the machine's processors call.
  public var guest: HypervisorGuest { state.withLock { $0.guest! } }

  // MARK: The hypervisor

  /// Interrupts the processor.
  public func raise(vp: Int) { raised.signal() }

  /// Keeps who is signalled.
  public func tie(connectionID: UInt32, to event: EventFD) throws(Errno) {
    let isNew = state.withLock { $0.connections.updateValue(event, forKey: connectionID) == nil }
    if !isNew { throw Errno(rawValue: 17) }
  }

  /// Forgets it.
  public func untie(connectionID: UInt32) {
    state.withLock { $0.connections[connectionID] = nil }
  }

  /// Can't: the host has to look by itself.
  public func trapWrites(toPageAt guestAddress: UInt64?) -> Bool { false }

  /// The guest is not served any more.
  public func detached(reason: String) {
    endReason.withLock { $0 = $0 ?? reason }
    mustStop.store(true, ordering: .releasing)
    raised.signal()
  }

  /// HvSignalEvent.
  public func signal(connectionID: UInt32) {
    state.withLock { $0.connections[connectionID] }?.signal()
  }

  // MARK: The link

  /// HvPostMessage; a guest tries again when there are no buffers.
  public func send(_ message: [UInt8], connectionID: UInt32) {
    let input = PostMessageInput(connectionID: connectionID, payload: message).encoded()
    while guest.post(input) == .insufficientBuffers, !mustStop.load(ordering: .relaxed) {
      sleepThread(nanoseconds: 100_000)
    }
  }

  /// A doorbell that signals the channel's connection, and what its event flag wakes.
  public func takeWiring(relid: UInt32) -> GuestWiring? {
    guard let event = try? EventFD() else { return nil }
    state.withLock { $0.listeners[relid] = event }
    return GuestWiring(
      doorbell: SignalDoorbell(self, connectionID: ConnectionID.channel(relid: relid)),
      waitDescriptor: event.descriptor, listener: EventListener(event), wake: event)
  }

  /// Detaches the machine.
  public func end(reason: String) {
    guest.end(reason: reason)
  }

  /// Waits for the processor's thread.
  public func join() {
    let thread = state.withLock { state in
      defer { state.thread = nil }
      return state.thread
    }
    thread?.join()
  }

  // MARK: The guest's kernel

  private func serve(_ guest: HypervisorGuest) {
    while !mustStop.load(ordering: .acquiring) {
      _ = waitForInput([raised.descriptor], milliseconds: -1)
      raised.drain()
      takeMessages(guest)
      takeEvents()
      // The end of the interrupt.
      guest.interruptHandled(vp: 0)
    }
    receiver.ended(reason: endReason.withLock { $0 } ?? "ended")
  }

  private func takeMessages(_ guest: HypervisorGuest) {
    let slot = pages.memory.slice(
      at: Self.synicAddress + UInt64(SynIC.messageSlotOffset()), byteCount: MessageSlot.byteCount)!
    while slot.word32(at: 0).loadAcquiring() != 0 {
      guard let message = MessageSlot(parsing: slot.bytes().rawSpan) else { fatalError("the host wrote a bad slot") }
      slot.word32(at: 0).storeReleasing(0)
      fullMemoryFence()
      // Read again: the host may have set it meanwhile.
      let isPending = slot.word32(at: 4).loadAcquiring() >> 8 & 1 != 0
      receiver.received(message.payload)
      if isPending { guest.interruptHandled(vp: 0) }
    }
  }

  private func takeEvents() {
    let flags = pages.memory.slice(
      at: Self.synicAddress + UInt64(pageByteCount) + UInt64(SynIC.vmbusSINT) * 256, byteCount: 256)!
    for index in 0..<64 {
      let bits = flags.word32(at: index * 4).exchange(0)
      for bit in 0..<32 where bits & 1 << UInt32(bit) != 0 {
        state.withLock { $0.listeners[UInt32(index * 32 + bit)] }?.signal()
      }
    }
  }
}

/// A doorbell that is a hypercall.
final class SignalDoorbell: Doorbell {
  private let machine: FakeMachine
  private let connectionID: UInt32

  init(_ machine: FakeMachine, connectionID: UInt32) {
    self.machine = machine
    self.connectionID = connectionID
  }

  func ring() {
    machine.signal(connectionID: connectionID)
  }
}
