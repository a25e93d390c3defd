import CLinux

/// A few descriptors to sleep on, chosen anew before each sleep (poll(2)); nothing is allocated for a sleep.
@safe public struct PollSet: ~Copyable {
  // SAFETY: owned; `capacity` initialized entries.
  private let entries: UnsafeMutablePointer<pollfd>
  private let capacity: Int
  /// How many descriptors there are.
  public private(set) var count = 0

  /// An empty set for at most `capacity` descriptors.
  public init(capacity: Int) {
    precondition(capacity > 0)
    self.capacity = capacity
    unsafe entries = .allocate(capacity: capacity)
    unsafe entries.initialize(repeating: pollfd(), count: capacity)
  }

  deinit {
    // SAFETY: allocated by init.
    unsafe entries.deallocate()
  }

  /// Forgets all descriptors.
  public mutating func removeAll() {
    count = 0
  }

  /// Adds a descriptor to be waited on until it is readable, or only until the peer is gone.
  public mutating func append(_ descriptor: Int32, onlyHangUp: Bool = false) {
    precondition(count < capacity)
    // SAFETY: inside the allocation (checked above).
    unsafe entries[count] = pollfd(fd: descriptor, events: onlyHangUp ? 0 : Int16(POLLIN), revents: 0)
    count += 1
  }

  /// Sleeps until a descriptor is readable or has failed, or `milliseconds` have passed (-1: no limit), and answers how
  /// many there are. An interrupting signal ends the sleep with 0.
  public mutating func wait(milliseconds: Int32) -> Int {
    // SAFETY: the first `count` entries are initialized.
    Int(max(0, unsafe poll(entries, nfds_t(count), milliseconds)))
  }

  /// Whether descriptor `index`, in the order of `append`, was readable or had failed after the last `wait`.
  public func isReady(_ index: Int) -> Bool {
    precondition(index >= 0 && index < count)
    // SAFETY: inside the allocation (checked above).
    return unsafe entries[index].revents != 0
  }
}
