import Synchronization

/// A serial port of a PC (16550), as much of it as Linux's driver looks at. Processors and the console use it at the same time.
///
/// Source: National Semiconductor PC16550D data sheet; Linux drivers/tty/serial/8250 for the probe.
final class SerialPort: Sendable {
  fileprivate struct State {
    var interruptEnable: UInt8 = 0
    var lineControl: UInt8 = 0
    var modemControl: UInt8 = 0
    var fifoControl: UInt8 = 0
    var scratch: UInt8 = 0
    var divisor: UInt16 = 12
    /// The transmitter became empty, and the guest has not been told.
    var isTransmitterPending = false
    var isLineHigh = false
    var received: [UInt8] = []
    var receivedStart = 0

    var hasInput: Bool { receivedStart < received.count }

    /// What the interrupt identification register says: 1 is nothing.
    var interruptIdentity: UInt8 {
      if interruptEnable & 1 != 0, hasInput { return 4 }
      if interruptEnable & 2 != 0, isTransmitterPending { return 2 }
      return 1
    }

    /// The most input that waits for the guest, in bytes; more is lost.
    private static let inputLimit = 65536

    mutating func putInput(_ bytes: [UInt8]) {
      // A guest that always leaves a byte must not make what it has taken pile up.
      if receivedStart >= Self.inputLimit {
        received.removeFirst(receivedStart)
        receivedStart = 0
      }
      received += bytes.prefix(max(0, Self.inputLimit - (received.count - receivedStart)))
    }

    mutating func takeInput() -> UInt8 {
      guard hasInput else { return 0 }
      let byte = received[receivedStart]
      receivedStart += 1
      if receivedStart == received.count {
        received = []
        receivedStart = 0
      }
      return byte
    }
  }

  private let state = Mutex(State())
  private let setLine: @Sendable (_ isHigh: Bool) -> Void
  private let transmit: @Sendable (UInt8) -> Void

  /// A port.
  ///
  /// - Parameters:
  ///   - setLine: sets its interrupt line.
  ///   - transmit: takes what the guest sends, on the thread of a processor.
  init(setLine: @escaping @Sendable (_ isHigh: Bool) -> Void, transmit: @escaping @Sendable (UInt8) -> Void) {
    self.setLine = setLine
    self.transmit = transmit
  }

  /// Gives the guest input.
  func receive(_ bytes: [UInt8]) {
    state.withLock { state in
      state.putInput(bytes)
      updateLine(&state)
    }
  }

  /// The guest reads register `offset`, 0 to 7.
  func read(_ offset: Int) -> UInt8 {
    state.withLock { state in
      let isDivisor = state.lineControl & 0x80 != 0
      switch offset {
      case 0 where isDivisor: return UInt8(truncatingIfNeeded: state.divisor)
      case 0:
        let byte = state.takeInput()
        updateLine(&state)
        return byte
      case 1 where isDivisor: return UInt8(truncatingIfNeeded: state.divisor >> 8)
      case 1: return state.interruptEnable
      case 2:
        let identity = state.interruptIdentity
        // To be told is to know.
        if identity == 2 {
          state.isTransmitterPending = false
          updateLine(&state)
        }
        return identity | (state.fifoControl & 1 != 0 ? 0xC0 : 0)
      case 3: return state.lineControl
      case 4: return state.modemControl
      // The transmitter is always empty.
      case 5: return state.hasInput ? 0x61 : 0x60
      case 6: return state.modemStatus
      default: return state.scratch
      }
    }
  }

  /// The guest writes register `offset`, 0 to 7.
  func write(_ value: UInt8, to offset: Int) {
    let sent: UInt8? = state.withLock { state in
      let isDivisor = state.lineControl & 0x80 != 0
      var sent: UInt8?
      switch offset {
      case 0 where isDivisor: state.divisor = state.divisor & 0xFF00 | UInt16(value)
      case 0:
        state.isTransmitterPending = true
        if state.modemControl & 0x10 != 0 { state.putInput([value]) } else { sent = value }
      case 1 where isDivisor: state.divisor = state.divisor & 0x00FF | UInt16(value) << 8
      case 1:
        if value & 2 != 0, state.interruptEnable & 2 == 0 { state.isTransmitterPending = true }
        state.interruptEnable = value & 0x0F
      case 2: state.fifoControl = value
      case 3: state.lineControl = value
      case 4: state.modemControl = value & 0x1F
      case 7: state.scratch = value
      default: break
      }
      return sent
    }
    if let sent { transmit(sent) }
    state.withLock { updateLine(&$0) }
  }

  /// The line is edge-triggered: each reason to interrupt is an edge of its own.
  private func updateLine(_ state: inout State) {
    if state.isLineHigh { setLine(false) }
    state.isLineHigh = state.interruptIdentity != 1
    if state.isLineHigh { setLine(true) }
  }
}

extension SerialPort.State {
  /// Carrier, ready, clear to send; in loopback what the guest's own outputs are.
  fileprivate var modemStatus: UInt8 {
    guard modemControl & 0x10 != 0 else { return 0xB0 }
    var status: UInt8 = 0
    if modemControl & 1 != 0 { status |= 0x20 }
    if modemControl & 2 != 0 { status |= 0x10 }
    if modemControl & 4 != 0 { status |= 0x40 }
    if modemControl & 8 != 0 { status |= 0x80 }
    return status
  }
}
