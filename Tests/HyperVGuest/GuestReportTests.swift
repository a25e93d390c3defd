import Testing

/// The parser of consoles, which decides what counts as passed. Quick.
@Suite struct GuestReportTests {
  @Test func checksAndValues() {
    let report = GuestReport(
      console: "value boot-seconds 3.5\ncheck disks ok\r\ncheck load FAIL code 1 after: + fio\nnoise\nvalue rate 12\n")
    #expect(report.checks == ["disks": .passed, "load": .failed("code 1 after: + fio")])
    #expect(report.measurements.map(\.name) == ["boot-seconds", "rate"])
    #expect(report.failures == ["load: code 1 after: + fio"])
  }

  @Test("A line that is no plain `ok`, or not a whole line, is no success")
  func doubtfulLines() {
    let report = GuestReport(console: "check a okay\ncheck b ok not\n| check c ok\necho check d ok\ncheck e\n")
    #expect(report.checks == [:])
  }

  @Test("A failure stays one, whatever is told of the same check before or after")
  func failureStays() {
    #expect(GuestReport(console: "check a ok\ncheck a FAIL x").checks == ["a": .failed("x")])
    #expect(GuestReport(console: "check a FAIL x\ncheck a ok").checks == ["a": .failed("x")])
  }

  @Test func emulatorCorruption() {
    let end = "\ncheck exit-code ok"
    for line in [
      "[  3.1] fio[97]: segfault at 0", "[  3.1] Oops: 0000 [#1]", "[  3.1] traps: ls[9] general protection",
      "synthgate-vm: the guest has crashed: a triple fault",
    ] {
      #expect(GuestReport(console: line + end).showsEmulatorCorruption)
      #expect(!GuestReport(console: "| " + line + end).showsEmulatorCorruption)
    }
    #expect(!GuestReport(console: "check load FAIL code 1" + end).showsEmulatorCorruption)
    #expect(!GuestReport(console: "check exit-code FAIL synthgate-vm ended with 70").showsEmulatorCorruption)
    #expect(GuestReport(console: "check load ok\n").showsEmulatorCorruption, "L1 has ended on its way")
  }
}
