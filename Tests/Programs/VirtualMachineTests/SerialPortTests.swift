import LinuxIO
import Synchronization
import Testing

@testable import VirtualMachine

/// A port, its line, and what came out of it.
private final class Rig: Sendable {
  let line = Mutex<[Bool]>([])
  let sent = Mutex<[UInt8]>([])

  func port() -> SerialPort {
    SerialPort(
      setLine: { isHigh in self.line.withLock { $0.append(isHigh) } },
      transmit: { byte in self.sent.withLock { $0.append(byte) } })
  }

  var isHigh: Bool { line.withLock { $0.last ?? false } }
  var edges: Int {
    line.withLock { line in line.indices.count { line[$0] && ($0 == 0 || !line[$0 - 1]) } }
  }
}

@Suite struct SerialPortTests {
  @Test func output() {
    let rig = Rig()
    let port = rig.port()
    for byte in "hi".utf8 { port.write(byte, to: 0) }
    #expect(rig.sent.withLock { $0 } == Array("hi".utf8))
    #expect(port.read(5) & 0x60 == 0x60)
    #expect(!rig.isHigh)
  }

  @Test func transmitterInterrupts() {
    let rig = Rig()
    let port = rig.port()
    port.write(1, to: 2)
    // Enabling it is a reason, reading the identity takes it away, writing is the next.
    port.write(2, to: 1)
    #expect(rig.isHigh && port.read(2) == 0xC2)
    #expect(!rig.isHigh && port.read(2) == 0xC1)
    let edges = rig.edges
    port.write(65, to: 0)
    #expect(rig.isHigh && rig.edges == edges + 1 && port.read(2) == 0xC2)
  }

  @Test func input() {
    let rig = Rig()
    let port = rig.port()
    port.write(1, to: 1)
    port.receive(Array("ab".utf8))
    #expect(rig.isHigh && port.read(2) == 4 && port.read(5) & 1 == 1)
    #expect(port.read(0) == UInt8(ascii: "a"))
    // There is more: an edge of its own.
    #expect(rig.isHigh)
    #expect(port.read(0) == UInt8(ascii: "b"))
    #expect(!rig.isHigh && port.read(5) & 1 == 0 && port.read(0) == 0)
  }

  @Test func theProbeOfTheDriver() {
    let port = Rig().port()
    // Scratch, divisor behind the latch bit, enables that have only four bits, loopback of the modem lines.
    port.write(0x5A, to: 7)
    #expect(port.read(7) == 0x5A)
    port.write(0x83, to: 3)
    port.write(0x34, to: 0)
    port.write(0x12, to: 1)
    #expect(port.read(0) == 0x34 && port.read(1) == 0x12)
    port.write(3, to: 3)
    port.write(0xFF, to: 1)
    #expect(port.read(1) == 0x0F)
    port.write(0x1A, to: 4)
    #expect(port.read(6) == 0x90)
    port.write(0x0B, to: 4)
    #expect(port.read(6) == 0xB0)
  }

  @Test func inputIsBounded() {
    let port = Rig().port()
    for _ in 0..<40 { port.receive([UInt8](repeating: 7, count: 4096)) }
    #expect(drain(port) == 65536)
  }

  @Test func loopbackIsBounded() {
    let port = Rig().port()
    port.write(0x10, to: 4)
    for _ in 0..<70_000 { port.write(7, to: 0) }
    #expect(drain(port) == 65536)
  }

  /// Reads all input; answers how much it was.
  private func drain(_ port: SerialPort) -> Int {
    var count = 0
    while port.read(5) & 1 == 1 {
      _ = port.read(0)
      count += 1
    }
    return count
  }

  @Test func commands() throws {
    let asked = Mutex<[String]>([])
    let answered = Rig()
    let commands = try GuestCommandPort { line in
      asked.withLock { $0.append(line) }
      return "ok \(line)"
    }
    let port = SerialPort(setLine: { _ in }, transmit: { commands.receive($0) })
    commands.connect(to: port)
    // An echo of an answer is no command, and a line that is too long is cut off.
    for byte in ("first\r\nok first\nerror: no\n\n" + String(repeating: "x", count: 2000) + "\n").utf8 {
      port.write(byte, to: 0)
    }
    let deadline = monotonicNanoseconds() + 10_000_000_000
    while asked.withLock({ $0.count }) < 2, monotonicNanoseconds() < deadline { sleepThread(nanoseconds: 1_000_000) }
    commands.close()
    #expect(asked.withLock { $0 } == ["first", String(repeating: "x", count: 1024)])
    var text: [UInt8] = []
    while port.read(5) & 1 == 1 { text.append(port.read(0)) }
    #expect(String(decoding: text, as: UTF8.self).hasPrefix("ok first\nok xxx"))
    #expect(answered.edges == 0)
  }
}
