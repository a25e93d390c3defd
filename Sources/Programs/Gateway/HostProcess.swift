import LinuxIO
public import SyntheticHost
import VMBusServer

/// `synthgate host`: a synthetic host until SIGINT or SIGTERM.
public enum HostProcess {
  /// Runs the host; returns when it was told to end.
  ///
  /// - Parameters:
  ///   - control: path of a Unix socket at which it takes commands; nil for none.
  ///   - log: gets a line for each thing worth knowing; from any thread.
  public static func run(
    _ configuration: HostConfiguration, control: String? = nil, log: @escaping @Sendable (String) -> Void
  ) throws(GatewayError) {
    let what = "host"
    guard let path = configuration.listen else {
      throw GatewayError(
        .usage, what: what, why: "the configuration has no `listen`",
        advice: "add a socket path, for example listen: /run/synthgate/host.sock")
    }
    let signals: SignalQueue
    do throws(Errno) { signals = try SignalQueue([2, 15]) } catch {
      throw GatewayError(.failed, what: what, why: "signals: \(error)")
    }
    var settings = VMBusServer.Settings()
    settings.onEvent = { event in
      if let line = event.logLine { log(line) }
    }
    let host: SyntheticHost
    do throws(SyntheticHostError) {
      host = try SyntheticHost(configuration, settings: settings, log: log)
      try host.listen()
      do throws(SyntheticHostError) {
        if let control { try host.takeCommands(at: control) }
      } catch {
        host.stop()
        throw error
      }
    } catch {
      throw GatewayError(error, what: what)
    }
    log("listening at \(path)")
    if let control { log("commands at \(control)") }
    while signals.next() == nil { _ = waitForInput([signals.descriptor], milliseconds: -1) }
    host.stop()
    log("ended")
  }
}
