import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol
import WireBytes

/// The synthetic interrupt controller of one virtual processor, as the host writes to it: messages into its slot one after
/// the other, and event flags.
///
/// Source: the Hypervisor Top-Level Functional Specification. The pages are the guest's and may be anywhere, or change.
final class SynICPort: Sendable {
  private struct State {
    var messagePage: UInt64?
    var queue: [[UInt8]] = []
  }

  private let memory: GuestMemory
  private let raise: @Sendable () -> Void
  private let state = Mutex(State())
  /// Guest physical address of the event-flag page; 1 while there is none.
  private let eventFlagPage = Atomic<UInt64>(SynICPort.none)

  private static let none: UInt64 = 1

  /// A controller that is switched off.
  ///
  /// - Parameter raise: interrupts the processor.
  init(memory: GuestMemory, raise: @escaping @Sendable () -> Void) {
    self.memory = memory
    self.raise = raise
  }

  /// The guest has written the registers; bit 0 of each switches on what it names.
  func set(control: UInt64, eventFlagPage: UInt64, messagePage: UInt64) {
    let isOn = control & 1 != 0
    let events = isOn && eventFlagPage & 1 != 0 ? eventFlagPage & ~0xfff : Self.none
    self.eventFlagPage.store(events, ordering: .releasing)
    state.withLock { state in
      state.messagePage = isOn && messagePage & 1 != 0 ? messagePage & ~0xfff : nil
      if state.messagePage == nil { state.queue = [] }
    }
    deliver()
  }

  // MARK: Messages

  /// Sends a message, as soon as the guest has taken those before it. Answers how many wait.
  @discardableResult
  func post(_ message: [UInt8]) -> Int {
    let count = state.withLock { state in
      state.queue.append(message)
      return state.queue.count
    }
    deliver()
    return count
  }

  /// Throws away what waits.
  func discard() {
    state.withLock { $0.queue = [] }
  }

  /// Puts the next message into the slot if that is free; else the guest is asked to tell when it is.
  func deliver() {
    let isRaised = state.withLock { state in
      guard let first = state.queue.first, let page = state.messagePage,
        let slot = memory.slice(
          at: page + UInt64(SynIC.messageSlotOffset()), byteCount: MessageSlot.byteCount)
      else { return false }
      let type = slot.word32(at: 0)
      if type.loadAcquiring() != SynICMessageType.none.rawValue {
        // The guest looks at the flag after it has emptied the slot: whoever is second sees what the other has stored.
        slot.word32(at: MessageSlot.flagsOffset & ~3).setBits(1 << UInt32(MessageSlot.flagsOffset % 4 * 8))
        fullMemoryFence()
        if type.loadAcquiring() != SynICMessageType.none.rawValue { return false }
      }
      state.queue.removeFirst()
      let bytes = MessageSlot(payload: first, isMessagePending: !state.queue.isEmpty).encoded()
      slot.copyIn(bytes.rawSpan.extracting(droppingFirst: 4), at: 4)
      type.storeReleasing(SynICMessageType.vmbus.rawValue)
      return true
    }
    if isRaised { raise() }
  }

  // MARK: Events

  /// Sets the event flag of a channel, and interrupts the processor if the flag was clear. From any thread; no lock.
  func signal(relid: UInt32) {
    let page = eventFlagPage.load(ordering: .acquiring)
    guard page != Self.none, let (byteOffset, mask) = SynIC.eventFlag(relid),
      let flags = memory.slice(at: page, byteCount: pageByteCount)
    else { return }
    let bit = UInt32(mask) << UInt32(byteOffset % 4 * 8)
    if flags.word32(at: byteOffset & ~3).setBits(bit) & bit == 0 { raise() }
  }
}
