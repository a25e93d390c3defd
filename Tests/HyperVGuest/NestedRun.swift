import Foundation
import LinuxIO
import Synchronization
import Testing

/// A kernel for the guest: a series of Debian's cloud kernels.
enum GuestKernel: String, CaseIterable, CustomTestStringConvertible {
  case linux6_1 = "6.1"
  case linux6_12 = "6.12"

  var testDescription: String { rawValue }
}

/// A directory of rig/groups.
enum CheckGroup: String {
  case storage, network, services, ours
}

/// A run that could not be made, or that did not end.
struct NestedRunFailure: Error, CustomStringConvertible {
  var description: String
}

/// Runs of rig/boot. Each group runs once for each kernel, at the first question for one of its checks.
enum NestedRun {
  private struct Key: Hashable {
    var group: CheckGroup
    var kernel: GuestKernel
  }

  /// The longest that a run may take, in seconds: five times what it takes on an idle machine.
  private static let timeLimit = 240.0
  /// How often a run is repeated in which the emulation went wrong: the busier the machine, the more often.
  private static let retryCount = 4
  private static let results = Mutex<[Key: Result<GuestReport, NestedRunFailure>]>([:])

  /// The report of a group on a kernel.
  static func report(_ group: CheckGroup, on kernel: GuestKernel) throws -> GuestReport {
    let key = Key(group: group, kernel: kernel)
    if let result = results.withLock({ $0[key] }) { return try result.get() }
    let result = Result { () throws(NestedRunFailure) in try run(key) }
    results.withLock { $0[key] = result }
    return try result.get()
  }

  private static func run(_ key: Key) throws(NestedRunFailure) -> GuestReport {
    var report = try boot(key)
    var hasHung = false
    for _ in 0..<retryCount where report.showsEmulatorCorruption {
      // A processor that the emulation has lost hangs, too; but a guest that hangs again has a reason.
      if report.hasHung, hasHung { break }
      hasHung = hasHung || report.hasHung
      print(
        "\(key.group) on \(key.kernel.rawValue): \(report.hasHung ? "the run hung" : "the emulation went wrong"),"
          + " once more\n\(report.console)")
      report = try boot(key)
    }
    if report.hasHung {
      throw NestedRunFailure(description: "the run did not end within \(timeLimit) s:\n\(report.console)")
    }
    for measurement in report.measurements {
      print("\(key.group) on \(key.kernel.rawValue): \(measurement.name) \(measurement.value)")
    }
    return report
  }

  /// Boots once, with the console in a file that stays for whoever looks for the reason of a failure.
  private static func boot(_ key: Key) throws(NestedRunFailure) -> GuestReport {
    let rig = URL(filePath: #filePath).deletingLastPathComponent().path + "/rig"
    let consoles = URL(filePath: rig).appending(path: "../../../.build/hyperv-guest/consoles").standardized.path
    let file = "\(consoles)/\(key.group)-\(key.kernel.rawValue)"
    let start = Date()
    let code: Int32?
    do {
      try FileManager.default.createDirectory(atPath: consoles, withIntermediateDirectories: true)
      let input = try OwnedDescriptor.open("/dev/null", flags: O_RDONLY)
      let output = try OwnedDescriptor.open(file, flags: O_WRONLY | O_CREAT | O_TRUNC)
      let process = try ProcessHandle.start(
        ["\(rig)/boot", key.group.rawValue, key.kernel.rawValue],
        input: input.number, output: output.number, error: output.number)
      let hasEnded = process.hasEnded(waiting: Int32(timeLimit * 1000))
      if !hasEnded { process.send(signal: SIGKILL) }
      let left = process.exitCode()
      code = hasEnded ? left : nil
    } catch {
      throw NestedRunFailure(description: "rig/boot could not be run: \(error)")
    }
    let console = String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
    guard let code else { return GuestReport(console: console, hasHung: true) }
    guard code == 0 else { throw NestedRunFailure(description: "rig/boot ended with \(code); \(file):\n\(console)") }
    print("\(key.group) on \(key.kernel.rawValue): \(Int(Date().timeIntervalSince(start))) s")
    return GuestReport(console: console)
  }
}

/// Expects that checks of a group have passed on a kernel; one that the console doesn't tell of has failed.
func expect(
  _ checks: String..., of group: CheckGroup, on kernel: GuestKernel, _ location: SourceLocation = #_sourceLocation
) throws {
  let report = try NestedRun.report(group, on: kernel)
  for check in checks {
    switch report.checks[check] {
    case .passed: break
    case .failed(let why): Issue.record("\(check) has failed: \(why)\n\(report.console)", sourceLocation: location)
    case nil: Issue.record("the console tells nothing of \(check):\n\(report.console)", sourceLocation: location)
    }
  }
}

/// Expects that the guest has switched itself off, that its kernel had nothing to complain about, and that no check has
/// failed, named by a test or not.
func expectQuietEnd(of group: CheckGroup, on kernel: GuestKernel, _ location: SourceLocation = #_sourceLocation) throws
{
  try expect("kernel-log", "exit-code", of: group, on: kernel, location)
  let failures = try NestedRun.report(group, on: kernel).failures
  #expect(failures == [], sourceLocation: location)
}

/// All nested runs, one at a time: each takes two processors.
@Suite(.serialized) struct NestedEndToEndTests {}
