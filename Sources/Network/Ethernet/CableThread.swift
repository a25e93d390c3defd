public import LinuxIO
import Synchronization

/// A thread that runs one `Cable`, and closes its queues at the end.
public final class CableThread: Sendable {
  /// What the cable has done so far.
  public var counters: CableCounters { control.counters }

  private let control: CableControl
  private let thread: Mutex<WorkerThread?>

  /// The queues on their way to the thread.
  private final class Parcel: Sendable {
    private let queues: Mutex<(any EthernetQueue, any EthernetQueue)?>

    init(_ first: sending any EthernetQueue, _ second: sending any EthernetQueue) {
      queues = Mutex((first, second))
    }

    func open() -> sending (any EthernetQueue, any EthernetQueue)? {
      queues.withLock { content in
        let result = content
        content = nil
        return result
      }
    }
  }

  /// Starts to move frames between two queues, which nobody else may use any more.
  ///
  /// - Parameters:
  ///   - name: of the thread, at most 15 characters.
  ///   - onEnd: called on the thread after the queues were closed.
  /// - Throws: EAGAIN, EMFILE and the like; the queues are closed then.
  public init(
    name: String, _ first: sending any EthernetQueue, _ second: sending any EthernetQueue,
    options: CableOptions = CableOptions(), onEnd: @escaping @Sendable (CableEnd) -> Void = { _ in }
  ) throws(Errno) {
    let parcel = Parcel(first, second)
    do throws(Errno) {
      let control = try CableControl()
      self.control = control
      let worker = try WorkerThread(name: name) {
        guard let (first, second) = parcel.open() else { return }
        var cable = Cable(first, second, control: control, options: options)
        let end = cable.run()
        first.close()
        second.close()
        onEnd(end)
      }
      thread = Mutex(worker)
    } catch {
      if let (first, second) = parcel.open() {
        first.close()
        second.close()
      }
      throw error
    }
  }

  deinit {
    stop()
  }

  /// Ends the cable and waits until its queues are closed. Later calls do nothing. Not to be called by `onEnd`.
  public func stop() {
    control.stop()
    let worker = thread.withLock { worker in
      defer { worker = nil }
      return worker
    }
    worker?.join()
  }
}
