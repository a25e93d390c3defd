import LinuxIO
import NetvscProtocol
import Synchronization
import VMBusChannel
import WireBytes

/// The way of RNDIS control requests from the control plane to whoever has the primary channel, and of replies back.
///
/// Requests wait here, one is on its way at a time. The thread that has the primary channel sends it from a page of guest
/// memory and delivers what comes.
final class ControlLink: Sendable {
  private struct Request: Sendable {
    var id: UInt32
    var message: [UInt8]
    var isAwaited: Bool
  }

  private struct State {
    var waiting: [Request] = []
    /// The id of the request whose reply is to come.
    var current: UInt32?
    var isAwaited = false
    var deadline: UInt64 = 0
    /// Whether the host may still read the page.
    var isPageUsed = false
    var replies: [UInt32: [UInt8]] = [:]
    var nextID: UInt32 = 1
    var isEnded = false
  }

  /// Wakes the owner of the primary channel.
  let wake: EventFD
  private let link: LinkState
  private let milliseconds: Int
  private let state = Monitor(State())
  /// Whether there is something to be sent; read by the queue on every turn.
  private let hasMail = Atomic<Bool>(false)

  init(_ link: LinkState, wake: EventFD, milliseconds: Int) {
    self.link = link
    self.wake = wake
    self.milliseconds = milliseconds
  }

  @inline(__always)
  var hasSomethingToSend: Bool { hasMail.load(ordering: .acquiring) }

  // MARK: The control plane

  /// Puts a request in line and wakes the owner. Without a waiter its reply is dropped.
  func post(isAwaited: Bool, _ make: (UInt32) -> [UInt8]) -> UInt32 {
    let id = state.withLock { state -> UInt32 in
      let id = state.nextID
      state.nextID = id == .max ? 1 : id + 1
      state.waiting.append(Request(id: id, message: make(id), isAwaited: isAwaited))
      // Nobody reads the replies of these: only what was wanted last matters.
      if state.waiting.count > 64, let old = state.waiting.firstIndex(where: { !$0.isAwaited }) {
        state.waiting.remove(at: old)
      }
      return id
    }
    hasMail.store(true, ordering: .releasing)
    wake.signal()
    return id
  }

  /// Whether the reply to `id` is here, or there will be none.
  func isSettled(_ id: UInt32) -> Bool { state.withLock { $0.isEnded || $0.replies[id] != nil } }

  /// Whether nothing is on its way and the host has let go of the page.
  var isIdle: Bool { state.withLock { $0.isEnded || $0.waiting.isEmpty && $0.current == nil && !$0.isPageUsed } }

  /// The reply to `id`, if it comes in `milliseconds`.
  func reply(to id: UInt32, milliseconds: Int) -> [UInt8]? {
    state.wait(milliseconds: milliseconds) { state -> [UInt8]?? in
      if let reply = state.replies.removeValue(forKey: id) { return .some(reply) }
      return state.isEnded ? .some(nil) : nil
    } ?? nil
  }

  /// Gives the request `id` up; a late reply is dropped.
  func abandon(_ id: UInt32) {
    state.withLock { state in
      state.waiting.removeAll { $0.id == id }
      state.replies[id] = nil
      if state.current == id { state.current = nil }
      if !state.waiting.isEmpty { hasMail.store(true, ordering: .releasing) }
    }
  }

  /// The channel is gone: nobody waits any more.
  func end() {
    state.withLock { state in
      state.isEnded = true
      state.waiting = []
      state.current = nil
    }
    hasMail.store(false, ordering: .releasing)
  }

  // MARK: The owner of the primary channel

  /// The next request, if it may be sent now. The page is the host's until `pageIsFree`.
  func take() -> [UInt8]? {
    state.withLock { state -> [UInt8]? in
      let now = monotonicNanoseconds()
      if state.current != nil, now >= state.deadline { state.current = nil }
      // What ends the waiting says so again.
      hasMail.store(false, ordering: .releasing)
      guard state.current == nil, !state.isPageUsed, !state.waiting.isEmpty else { return nil }
      let request = state.waiting.removeFirst()
      state.isPageUsed = true
      // HALT has no reply, nor has a reply of ours: the completion is all that comes.
      let type = RNDISMessageType(rawValue: request.message.rawSpan.le32(at: 0))
      if type != .halt, !type.isCompletion {
        state.current = request.id
        state.isAwaited = request.isAwaited
        state.deadline = now + UInt64(milliseconds) * 1_000_000
      }
      return request.message
    }
  }

  /// The host has read the request.
  func pageIsFree() {
    state.withLock { state in
      state.isPageUsed = false
      if !state.waiting.isEmpty { hasMail.store(true, ordering: .releasing) }
    }
  }

  /// Takes a control message of the host, a private copy. False if it is none.
  func deliver(_ message: [UInt8]) -> Bool {
    let parsed: RNDISMessage
    do throws(NetvscError) { parsed = try RNDISMessage(parsing: message.rawSpan) } catch { return false }
    switch parsed {
    case .indicateStatus(let indication):
      link.take(indication, in: message)
    case .initializeComplete, .queryComplete, .setComplete:
      guard let id = parsed.requestID else { return false }
      state.withLock { state in
        guard state.current == id else { return }
        state.current = nil
        if state.isAwaited { state.replies[id] = message }
        if !state.waiting.isEmpty { hasMail.store(true, ordering: .releasing) }
      }
    case .keepalive(let id):
      _ = post(isAwaited: false) { _ in
        [UInt8](zeroed: 16) { RNDISMessage.keepaliveComplete(requestID: id, .success).storeFields(into: &$0) }
      }
    default: break
    }
    return true
  }
}
