import LinuxIO
public import SyntheticHost
import VMBusServer

/// `synthgate host`: a synthetic host until SIGINT or SIGTERM.
public enum HostProcess {
  /// Runs the host; returns when it was told to end.
  ///
  /// - Parameter log: gets a line for each thing worth knowing; from any thread.
  public static func run(
    _ configuration: HostConfiguration, log: @escaping @Sendable (String) -> Void
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
      if let line = text(of: event) { log(line) }
    }
    let host: SyntheticHost
    do throws(SyntheticHostError) {
      host = try SyntheticHost(configuration, settings: settings)
      try host.listen()
    } catch {
      throw GatewayError(error, what: what)
    }
    log("listening at \(path)")
    while signals.next() == nil { _ = waitForInput([signals.descriptor], milliseconds: -1) }
    host.stop()
    log("ended")
  }

  private static func text(of event: ServerEvent) -> String? {
    switch event {
    case .attached(let guest, let process): "guest \(guest): attached (process \(process))"
    case .connected(let guest, let version): "guest \(guest): connected, version \(version)"
    case .opened(let guest, let relid, let instance, let index):
      index == 0 ? "guest \(guest): opened \(instance) (relid \(relid))" : nil
    case .openFailed(let guest, let relid, let error): "guest \(guest): relid \(relid) not opened: \(error)"
    case .closed: nil
    case .faulted(let guest, let relid, let error): "guest \(guest): relid \(relid) stopped: \(error)"
    case .dropped(let guest, let reason, let count): "guest \(guest): \(count) bad messages dropped: \(reason)"
    case .detached(let guest, let reason): "guest \(guest): gone: \(reason)"
    case .listeningEnded(let path, let reason): "no longer listening at \(path): \(reason)"
    }
  }
}
