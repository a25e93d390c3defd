import LinuxIO
import Synchronization

/// The I/O ports of a machine: serial ports, clock, the fixed hardware of ACPI, reset. Nothing else is there, and reads as
/// ones.
final class PortSpace: Sendable {
  /// What a guest wants by a write to a port.
  enum Request: Equatable {
    case powerOff
    case reset
  }

  private struct State {
    var clock = RealTimeClock()
    var acpiEnable: UInt16 = 0
    /// The guest's bits of the control register; SCI_EN is always set.
    var acpiControl: UInt16 = 1
  }

  private let state = Mutex(State())
  private let serial: [SerialPort]
  private let start = monotonicNanoseconds()

  /// The ports of a machine with these serial ports, in the order of `MachineLayout.Port.serial`.
  init(serial: [SerialPort]) {
    self.serial = serial
  }

  /// The value of `size` bytes at `port`.
  func read(_ port: UInt16, size: Int) -> UInt32 {
    if let (device, offset) = serialPort(port) { return UInt32(device.read(offset)) }
    switch port {
    case MachineLayout.Port.clock + 1:
      return state.withLock { UInt32($0.clock.read(secondsSinceEpoch: realTimeSeconds())) }
    // Nothing has happened.
    case MachineLayout.Port.acpiEvent: return 0
    case MachineLayout.Port.acpiEvent + 2: return state.withLock { UInt32($0.acpiEnable) }
    case MachineLayout.Port.acpiControl: return state.withLock { UInt32($0.acpiControl) }
    case MachineLayout.Port.acpiTimer:
      let (seconds, rest) = (monotonicNanoseconds() - start).quotientAndRemainder(dividingBy: 1_000_000_000)
      return UInt32(truncatingIfNeeded: seconds &* 3_579_545 &+ rest * 3_579_545 / 1_000_000_000) & 0xFF_FFFF
    // The second timer's output is high.
    case MachineLayout.Port.timerGate: return 0x20
    case MachineLayout.Port.keyboard: return 0
    default: return size >= 4 ? 0xFFFF_FFFF : (1 << UInt32(size * 8)) - 1
    }
  }

  /// Writes `value` to `port`; answers what the guest wants with it.
  func write(_ value: UInt32, to port: UInt16, size: Int) -> Request? {
    if let (device, offset) = serialPort(port) {
      device.write(UInt8(truncatingIfNeeded: value), to: offset)
      return nil
    }
    switch port {
    case MachineLayout.Port.clock: state.withLock { $0.clock.select(UInt8(truncatingIfNeeded: value)) }
    case MachineLayout.Port.acpiEvent + 2:
      state.withLock { $0.acpiEnable = UInt16(truncatingIfNeeded: value) }
    case MachineLayout.Port.acpiControl:
      let bits = UInt16(truncatingIfNeeded: value)
      state.withLock { $0.acpiControl = bits & ~0x2000 | 1 }
      // SLP_EN with the type of S5, as `_S5` of the ACPI tables tells it.
      if bits & 0x2000 != 0, bits >> 10 & 7 == 5 { return .powerOff }
    case MachineLayout.Port.reset where value & 4 != 0: return .reset
    case MachineLayout.Port.keyboard where value & 0xFF == 0xFE: return .reset
    default: break
    }
    return nil
  }

  private func serialPort(_ port: UInt16) -> (SerialPort, Int)? {
    for (device, place) in zip(serial, MachineLayout.Port.serial) where port >= place.base && port - place.base < 8 {
      return (device, Int(port - place.base))
    }
    return nil
  }
}
