import FoundationEssentials
import LinuxIO

/// A process that serves a mount or a link, and outlives the command that starts it.
public final class DetachedProcess {
  private let process: ProcessHandle
  private let reports: OwnedDescriptor
  private let what: String
  private let signals: SignalQueue

  /// Starts this program anew with `arguments`, cut off from the terminal; it reports on descriptor 3.
  ///
  /// - Parameter what: what it is to do, for errors.
  public init(arguments: [String], what: String) throws(GatewayError) {
    self.what = what
    do throws(Errno) {
      // First of all: a signal from now on ends the process that is started, too.
      signals = try SignalQueue([2, 15])
      let pipe = try LinePipe()
      let null = try OwnedDescriptor.open("/dev/null", flags: 2)
      process = try ProcessHandle.start(
        [try linkTarget("/proc/self/exe")] + arguments, input: null.number, output: null.number, error: null.number,
        extra: pipe.writer.number, newSession: true)
      reports = try pipe.reader.duplicate()
    } catch {
      throw GatewayError(.failed, what: what, why: "the process can't be started: \(error)")
    }
  }

  /// Waits until it is ready. SIGINT and SIGTERM are handed on to it, so that it cleans up.
  ///
  /// - Parameter progress: called with what it is doing and since how many seconds, while that takes longer than one.
  /// - Throws: the error that it reported.
  public func awaitReady(progress: (_ text: String, _ seconds: Int) -> Void) throws(GatewayError) {
    var decoder = ReportDecoder()
    var doing = "starting"
    var isInterrupted = false
    let start = monotonicNanoseconds()
    while true {
      let ready = waitForInput([reports.number, signals.descriptor], milliseconds: 1000)
      if let signal = signals.next() {
        process.send(signal: signal)
        isInterrupted = true
      }
      if ready == 0 { progress(doing, Int((monotonicNanoseconds() - start) / 1_000_000_000)) }
      guard ready & 1 != 0 else { continue }
      let bytes = (try? readAvailable(reports.number)) ?? []
      if bytes.isEmpty {
        let code = process.exitCode()
        throw GatewayError(
          .failed, what: what,
          why: isInterrupted ? "interrupted" : "the process that serves it ended without a word (exit code \(code))")
      }
      for report in decoder.decode(bytes) {
        switch report {
        case .progress(let text): doing = text
        case .ready where isInterrupted:
          // It was just ready when the signal reached it: it takes everything away again.
          _ = process.exitCode()
          throw GatewayError(.failed, what: what, why: "interrupted")
        case .ready: return
        case .failed(let kind, let what, let why, let advice):
          _ = process.exitCode()
          throw GatewayError(kind, what: what, why: why, advice: advice)
        }
      }
    }
  }
}

/// Cuts a stream of bytes into reports.
struct ReportDecoder {
  private var rest: [UInt8] = []

  mutating func decode(_ bytes: [UInt8]) -> [ProcessReport] {
    rest += bytes
    var reports: [ProcessReport] = []
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      if let report = ProcessReport(line: String(decoding: rest[..<end], as: UTF8.self)) { reports.append(report) }
      rest.removeFirst(end + 1)
    }
    return reports
  }
}
