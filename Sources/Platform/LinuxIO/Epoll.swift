import CLinux

/// An epoll set; its own descriptor can stand in another one.
@safe public final class Epoll {
  private let owned: OwnedDescriptor
  // SAFETY: plain values that the kernel fills; only integers are read from them.
  private var events: [epoll_event]

  /// The descriptor of the set: readable while one of its members is.
  public var descriptor: Int32 { owned.number }

  /// An empty set whose `wait` answers at most `capacity` events at a time.
  public init(capacity: Int = 16) throws(Errno) {
    owned = try OwnedDescriptor(adopting: checkErrno(epoll_create1(Int32(EPOLL_CLOEXEC))))
    unsafe events = Array(repeating: epoll_event(), count: capacity)
  }

  /// Watches `descriptor` for readability (level-triggered); `wait` answers `token` for it.
  ///
  /// - Parameters:
  ///   - exclusive: of several sets that watch the same file, wake only as many as needed (EPOLLEXCLUSIVE).
  ///   - edgeTriggered: report once for each signal (EPOLLET): an eventfd need not be drained then.
  public func add(
    _ descriptor: Int32, token: UInt64, exclusive: Bool = false, edgeTriggered: Bool = false
  ) throws(Errno) {
    // SAFETY: the kernel copies the event during the call.
    var event = unsafe epoll_event()
    unsafe event.events =
      EPOLLIN.rawValue | (exclusive ? EPOLLEXCLUSIVE.rawValue : 0) | (edgeTriggered ? EPOLLET.rawValue : 0)
    unsafe event.data.u64 = token
    _ = try unsafe checkErrno(epoll_ctl(owned.number, EPOLL_CTL_ADD, descriptor, &event))
  }

  /// Stops watching `descriptor`.
  public func remove(_ descriptor: Int32) {
    // SAFETY: the kernel copies the event during the call.
    var event = unsafe epoll_event()
    _ = unsafe epoll_ctl(owned.number, EPOLL_CTL_DEL, descriptor, &event)
  }

  /// Waits until a member is readable, has failed, or `milliseconds` have passed (-1: no limit); answers how many events
  /// there are. An interrupting signal ends the wait with 0.
  public func wait(milliseconds: Int32) -> Int {
    // SAFETY: the kernel writes at most `capacity` events, which is the size of the array.
    let capacity = unsafe Int32(events.count)
    let count = unsafe epoll_wait(owned.number, &events, capacity, milliseconds)
    return max(0, Int(count))
  }

  /// The token of event `index` of the last wait.
  public func token(at index: Int) -> UInt64 {
    unsafe events[index].data.u64
  }

  /// Whether event `index` of the last wait reports an error or a hang-up.
  public func hasFailed(at index: Int) -> Bool {
    unsafe events[index].events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
  }
}
