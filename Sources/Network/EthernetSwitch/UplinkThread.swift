import Ethernet
import LinuxIO
import Synchronization

/// The thread that owns the queue of an uplink which has only one.
final class UplinkThread: Sendable {
  private let worker: WorkerThread
  private let stopEvent: EventFD
  private let shared: Shared

  final class Shared: Sendable {
    let isStopped = Atomic<Bool>(false)
    /// How the making of the first queue went.
    let start = Monitor<Result<Void, EthernetError>?>(nil)
  }

  init(_ fabric: SwitchFabric, _ port: any EthernetPort, name: String) throws(EthernetError) {
    let shared = Shared()
    let stopEvent: EventFD
    let inbox: FrameInbox
    do throws(Errno) {
      stopEvent = try EventFD()
      inbox = try FrameInbox(capacity: fabric.options.inboxCapacity)
      worker = try WorkerThread(name: name) {
        UplinkLoop(fabric, port, inbox, stopEvent, shared)?.run()
      }
    } catch {
      throw .system(what: "uplink of switch \(name)", error)
    }
    self.stopEvent = stopEvent
    self.shared = shared
    let result = shared.start.wait(milliseconds: 10_000) { $0 } ?? .failure(.lost)
    guard case .failure(let error) = result else { return }
    stop()
    throw error
  }

  /// Ends the thread and closes the queue; to be called once.
  func stop() {
    shared.isStopped.store(true, ordering: .releasing)
    stopEvent.signal()
    worker.join()
  }
}

/// What the thread does.
private final class UplinkLoop {
  private let fabric: SwitchFabric
  private let port: any EthernetPort
  private let inbox: InboxReader
  private let stopEvent: EventFD
  private let shared: UplinkThread.Shared
  private let epoll: Epoll
  private let sink: RoutingSink
  private var queue: (any EthernetQueue)?

  /// How long to wait before an uplink that has gone is asked for a new queue.
  private static let retryMilliseconds: Int32 = 500
  private static let roundLimit = 64

  /// Makes the first queue and says how that went; nil if it failed.
  init?(
    _ fabric: SwitchFabric, _ port: any EthernetPort, _ inbox: FrameInbox, _ stopEvent: EventFD,
    _ shared: UplinkThread.Shared
  ) {
    self.fabric = fabric
    self.port = port
    self.inbox = inbox.makeReader()
    self.stopEvent = stopEvent
    self.shared = shared
    sink = RoutingSink(FrameRouter(fabric), source: SwitchMap.uplink)
    do throws(Errno) {
      epoll = try Epoll(capacity: 3)
      try epoll.add(stopEvent.descriptor, token: 0)
      try epoll.add(self.inbox.readinessDescriptor, token: 1)
    } catch {
      shared.start.withLock { $0 = .failure(.system(what: "epoll", error)) }
      return nil
    }
    do throws(EthernetError) {
      try openQueue()
    } catch {
      shared.start.withLock { $0 = .failure(error) }
      return nil
    }
    fabric.addUplinkInbox(inbox)
    shared.start.withLock { $0 = .success(()) }
  }

  func run() {
    while !shared.isStopped.load(ordering: .acquiring) {
      if let queue {
        serve(queue)
        if queue.isEnded { closeQueue() }
      } else {
        // What is sent meanwhile has nowhere to go.
        inbox.discardAll()
        _ = waitForInput([stopEvent.descriptor], milliseconds: UplinkLoop.retryMilliseconds)
        try? openQueue()
      }
    }
    fabric.removeUplinkInbox(inbox.inbox)
    closeQueue()
  }

  private func openQueue() throws(EthernetError) {
    let new = try port.makeQueue()
    do throws(Errno) {
      try epoll.add(new.readinessDescriptor, token: 2)
    } catch {
      new.close()
      throw .system(what: "epoll", error)
    }
    queue = new
  }

  private func closeQueue() {
    guard let queue else { return }
    epoll.remove(queue.readinessDescriptor)
    queue.close()
    self.queue = nil
  }

  /// One round, and a sleep after one that moved nothing.
  private func serve(_ queue: any EthernetQueue) {
    var sent = 0
    var isFull = false
    while sent < UplinkLoop.roundLimit, let frame = inbox.first() {
      guard queue.send(frame) else {
        isFull = true
        break
      }
      inbox.removeFirst()
      sent += 1
    }
    if sent > 0 { queue.flush() }
    let received = queue.forward(to: sink, limit: UplinkLoop.roundLimit).frameCount
    sink.flush()
    if sent + received > 0 || queue.isEnded { return }
    let hasFrame = inbox.prepareToWait() && !isFull
    if !queue.prepareToWait(forRoom: isFull), !hasFrame { _ = epoll.wait(milliseconds: -1) }
    inbox.finishWait()
  }
}
