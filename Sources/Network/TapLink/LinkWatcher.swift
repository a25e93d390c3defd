import LinuxIO
import NetlinkRoute
import Synchronization

/// The thread that follows what happens to the link, and the state that it shares with the port.
final class LinkWatcher: Sendable {
  private let core: Core
  private let thread: WorkerThread
  private let isStopped = Atomic<Bool>(false)

  /// What the thread and the port share; the thread does not keep the port alive.
  private final class Core: Sendable {
    let state: Mutex<LinkState>
    let monitor: LinkMonitor
    let stop: EventFD
    let observers = Mutex<(onPort: (@Sendable () -> Void)?, onLink: (@Sendable (LinkState) -> Void)?)>((nil, nil))

    init(_ state: LinkState, _ monitor: LinkMonitor) throws(Errno) {
      self.state = Mutex(state)
      self.monitor = monitor
      stop = try EventFD()
    }

    func run() {
      while true {
        let ready = waitForInput([monitor.descriptor, stop.descriptor], milliseconds: -1)
        if ready & 2 != 0 { return }
        take()
      }
    }

    /// Takes over the news and tells the observers where something has changed.
    func take() {
      // A monitor that fails has nothing to tell any more; a moment later it may.
      guard let events = try? monitor.events() else { return sleepThread(nanoseconds: 100_000_000) }
      let changed = state.withLock { state -> LinkState? in
        let before = state
        for event in events {
          switch event {
          case .changed(let link): state = LinkState(link)
          case .gone: state.isGone = true
          }
        }
        return state == before ? nil : state
      }
      guard let changed else { return }
      let (onPort, onLink) = observers.withLock { $0 }
      onLink?(changed)
      onPort?()
    }
  }

  /// Follows the link that was in `state` when `monitor` listened already.
  init(_ state: LinkState, _ monitor: LinkMonitor) throws(Errno) {
    let core = try Core(state, monitor)
    self.core = core
    thread = try WorkerThread(name: "link-watcher") { core.run() }
  }

  deinit {
    stop()
  }

  /// How the link is now.
  var state: LinkState { core.state.withLock { $0 } }

  /// Changes the state at once, before the kernel tells.
  func update(_ body: (inout LinkState) -> Void) {
    core.state.withLock { body(&$0) }
  }

  func observePort(_ body: (@Sendable () -> Void)?) {
    core.observers.withLock { $0.onPort = body }
  }

  func observeLink(_ body: (@Sendable (LinkState) -> Void)?) {
    core.observers.withLock { $0.onLink = body }
  }

  /// Ends the thread; nobody is told anything afterwards. Not to be called by an observer.
  func stop() {
    guard !isStopped.exchange(true, ordering: .relaxed) else { return }
    observePort(nil)
    observeLink(nil)
    core.stop.signal()
    thread.join()
  }
}
