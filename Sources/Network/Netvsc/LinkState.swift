import Ethernet
import NetvscProtocol
import Synchronization
import VMBusChannel
import WireBytes

/// What is known of the link, and who wants to hear of changes.
final class LinkState: Sendable {
  private struct State {
    var info = EthernetPortInfo(hasCarrier: false)
    var observer: (@Sendable () -> Void)?
    var indirectionTable: NVSPIndirectionTable?
    var fault: ChannelError?
  }

  private let state = Mutex(State())

  var info: EthernetPortInfo { state.withLock { $0.info } }

  /// The channels on which the host wants flows; kept for the operator, since a queue sends on its own channel.
  var indirectionTable: NVSPIndirectionTable? {
    get { state.withLock { $0.indirectionTable } }
    set { state.withLock { $0.indirectionTable = newValue } }
  }

  /// Why the channels are of no use any more; nil while they are.
  var fault: ChannelError? { state.withLock { $0.fault } }

  /// A channel is of no use any more: the link is down.
  func end(_ fault: ChannelError) {
    state.withLock { state in
      if state.fault == nil { state.fault = fault }
    }
    change { $0.hasCarrier = false }
  }

  /// There are channels again.
  func begin() {
    state.withLock { state in
      state.fault = nil
      state.indirectionTable = nil
    }
  }

  func observe(_ body: (@Sendable () -> Void)?) {
    state.withLock { $0.observer = body }
  }

  /// Changes the link, and tells the observer if it is another one then.
  func change(_ body: (inout EthernetPortInfo) -> Void) {
    let observer = state.withLock { state -> (@Sendable () -> Void)? in
      let before = state.info
      body(&state.info)
      return state.info == before ? nil : state.observer
    }
    observer?()
  }

  /// Takes an indication of the host, whose bytes are in `message`.
  func take(_ indication: RNDISIndication, in message: [UInt8]) {
    switch indication.status {
    case .mediaConnect: change { $0.hasCarrier = true }
    case .mediaDisconnect: change { $0.hasCarrier = false }
    case .linkSpeedChange:
      guard indication.buffer.count >= 4 else { return }
      let word = message.rawSpan.le32(at: indication.buffer.lowerBound)
      change { $0.bitsPerSecond = NDISLinkSpeed.bitsPerSecond(word: word) }
    case .networkChange:
      // What is behind the link is another network: a user has to see the link go down and come back.
      guard info.hasCarrier else { return }
      change { $0.hasCarrier = false }
      change { $0.hasCarrier = true }
    default: break
    }
  }
}
