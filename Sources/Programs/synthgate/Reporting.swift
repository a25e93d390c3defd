import Gateway
import LinuxIO

/// Runs `body` in a process that `DetachedProcess` has started, and ends it with the right exit code when it fails.
///
/// The starting command waits at the other end of descriptor 3. If it is gone before everything is ready, nobody wants the
/// result: the process then ends as by SIGTERM, and cleans up.
func runReporting(_ body: (_ report: (ProcessReport) -> Void) throws(GatewayError) -> Void) {
  ignoreBrokenPipes()
  let reports = OwnedDescriptor(adopting: 3)
  let report: (ProcessReport) -> Void = { report in
    do throws(Errno) { try writeAll(Array((report.line + "\n").utf8), to: reports.number) } catch {
      if error == .EPIPE { try? ProcessHandle(id: ownProcess()).send(signal: 15) }
    }
  }
  do throws(GatewayError) { try body(report) } catch {
    report(.failed(error.kind, what: error.what, why: error.why, advice: error.advice))
    endProcess(error.kind.rawValue)
  }
}
