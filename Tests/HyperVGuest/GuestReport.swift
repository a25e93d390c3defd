/// What a nested run has told on its console.
struct GuestReport {
  /// The outcome of one check.
  enum Outcome: Equatable {
    case passed
    case failed(String)
  }

  /// A figure that a check has measured.
  struct Measurement: Equatable {
    var name: String
    var value: String
  }

  /// Everything that was printed.
  let console: String
  /// Whether the run had to be killed, since it did not end.
  let hasHung: Bool
  /// The checks by their names. One that is told twice keeps its failure.
  private(set) var checks: [String: Outcome] = [:]
  /// In the order of the console.
  private(set) var measurements: [Measurement] = []

  init(console: String, hasHung: Bool = false) {
    self.console = console
    self.hasHung = hasHung
    for line in console.split(whereSeparator: \.isNewline) {
      let words = line.split(separator: " ", maxSplits: 3).map(String.init)
      switch (words.first, words.count) {
      case ("check", 3...):
        if words[2] == "FAIL" {
          checks[words[1]] = .failed(words.count > 3 ? words[3] : "without a reason")
        } else if words[2] == "ok", words.count == 3, checks[words[1]] == nil {
          checks[words[1]] = .passed
        }
      case ("value", 3...): measurements.append(Measurement(name: words[1], value: words[2]))
      default: break
      }
    }
  }

  /// The checks that failed, as they were told.
  var failures: [String] {
    checks.compactMap { name, outcome in
      if case .failed(let why) = outcome { "\(name): \(why)" } else { nil }
    }.sorted()
  }

  /// Whether a kernel on the way tells of faults that a correct processor does not make: the emulation of virtualization
  /// sometimes breaks registers of the guest. Lines that a failed check shows (`| ...`) don't count.
  ///
  /// L1 that ends before it has told how synthgate-vm ended counts, too: no program of ours can end that kernel.
  var showsEmulatorCorruption: Bool {
    checks["exit-code"] == nil
      || console.split(whereSeparator: \.isNewline).contains { line in
        !line.hasPrefix("| ") && ["Oops", "segfault", "traps:", "a triple fault"].contains { line.contains($0) }
      }
  }
}
