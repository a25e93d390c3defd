import Testing

@testable import VirtualMachine

@Suite struct PortSpaceTests {
  @Test func powerOffAndReset() {
    let ports = PortSpace(serial: [])
    // SLP_EN with another type, or the type alone, is no power-off.
    #expect(ports.write(5 << 10, to: 0x404, size: 2) == nil)
    #expect(ports.write(0x2000 | 3 << 10, to: 0x404, size: 2) == nil)
    #expect(ports.write(0x2000 | 5 << 10, to: 0x404, size: 2) == .powerOff)
    #expect(ports.read(0x404, size: 2) & 1 == 1)
    #expect(ports.write(2, to: 0xCF9, size: 1) == nil)
    #expect(ports.write(6, to: 0xCF9, size: 1) == .reset)
    #expect(ports.write(0xFE, to: 0x64, size: 1) == .reset)
  }

  @Test func whatIsNotThereReadsAsOnes() {
    let ports = PortSpace(serial: [])
    #expect(ports.read(0x3F8, size: 1) == 0xFF)
    #expect(ports.read(0xCF8, size: 4) == 0xFFFF_FFFF)
    #expect(ports.read(0x1234, size: 2) == 0xFFFF)
    #expect(ports.write(1, to: 0x1234, size: 2) == nil)
  }

  @Test func theTimerRuns() {
    let ports = PortSpace(serial: [])
    let first = ports.read(0x408, size: 4)
    var second = first
    for _ in 0..<1_000_000 where second == first { second = ports.read(0x408, size: 4) }
    #expect(second != first && second < 1 << 24)
  }

  @Test func clockRegisters() {
    var clock = RealTimeClock()
    let now = 951_868_799
    let values = [UInt8]([0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x32]).map { register in
      clock.select(register | 0x80)
      return clock.read(secondsSinceEpoch: now)
    }
    #expect(values == [0x59, 0x59, 0x23, 0x03, 0x29, 0x02, 0x00, 0x20])
    clock.select(0x0A)
    #expect(clock.read(secondsSinceEpoch: now) & 0x80 == 0)
  }
}
