import CLinux

/// Signals that a program takes from a descriptor instead of being interrupted.
public final class SignalQueue: Sendable {
  private let owned: OwnedDescriptor

  /// Readable while a signal waits.
  public var descriptor: Int32 { owned.number }

  /// Takes over the given signals for this thread and all that it starts from now on: create it first of all.
  public init(_ signals: [Int32]) throws(Errno) {
    // SAFETY: the array is read during the call.
    owned = try unsafe OwnedDescriptor(adopting: check(synthgate_signal_descriptor(signals, Int32(signals.count))))
  }

  /// The next signal that waits; nil when there is none.
  public func next() -> Int32? {
    let signal = synthgate_next_signal(owned.number)
    return signal > 0 ? signal : nil
  }
}

/// Has writing to a pipe or socket without a reader fail with EPIPE, instead of ending the process.
public func ignoreBrokenPipes() {
  synthgate_ignore_broken_pipes()
}

/// A process that this one started, or found by its number.
public final class ProcessHandle: Sendable {
  /// Its number.
  public let id: Int32
  private let pidfd: OwnedDescriptor

  /// Readable when the process has ended.
  public var descriptor: Int32 { pidfd.number }

  /// The process with this number.
  ///
  /// - Throws: ESRCH (3) when there is none.
  public init(id: Int32) throws(Errno) {
    self.id = id
    pidfd = try OwnedDescriptor(adopting: check(synthgate_pidfd(id)))
  }

  /// Starts a program, which gets no other descriptors than these.
  ///
  /// - Parameters:
  ///   - arguments: all of them, the first being the program's path.
  ///   - input, output, error: descriptors that become 0, 1 and 2.
  ///   - extra: a descriptor that becomes 3.
  ///   - newSession: whether it is cut off from the terminal.
  public static func start(
    _ arguments: [String], input: Int32 = 0, output: Int32 = 1, error: Int32 = 2, extra: Int32? = nil,
    newSession: Bool = false
  ) throws(Errno) -> ProcessHandle {
    // SAFETY: null-terminated copies that live until the call has returned; the list ends with nil.
    let copies = unsafe arguments.map { unsafe strdup($0) }
    defer { unsafe copies.forEach { unsafe free($0) } }
    var list: [UnsafePointer<CChar>?] = unsafe copies.map { unsafe UnsafePointer($0) } + [nil]
    let id = try unsafe check(
      synthgate_spawn(arguments[0], &list, input, output, error, extra ?? -1, newSession ? 1 : 0))
    return try ProcessHandle(id: id)
  }

  /// Sends a signal; a process that is gone already is no error.
  public func send(signal: Int32) {
    _ = synthgate_pidfd_signal(pidfd.number, signal)
  }

  /// Whether the process has ended, waiting for it at most `milliseconds` (-1: without limit).
  public func hasEnded(waiting milliseconds: Int32 = 0) -> Bool {
    waitForInput([pidfd.number], milliseconds: milliseconds) != 0
  }

  /// The exit code of a child, 128 + signal when it was killed; waits for it.
  public func exitCode() -> Int32 {
    synthgate_wait(id, 0)
  }
}

/// Waits until one of at most 16 descriptors is readable or has failed, or `milliseconds` have passed (-1: no limit).
/// Answers a bit per descriptor.
public func waitForInput(_ descriptors: [Int32], milliseconds: Int32) -> UInt32 {
  let events = [Int16](repeating: 0, count: descriptors.count)
  // SAFETY: both arrays have as many entries as is said.
  let bits = unsafe synthgate_poll(descriptors, events, Int32(descriptors.count), milliseconds)
  return UInt32(max(0, bits))
}

/// Whether a write to `descriptor` would not wait now.
func isReadyForOutput(_ descriptor: Int32) -> Bool {
  waitForOutput(descriptor, milliseconds: 0)
}

/// Waits until `descriptor` takes something, or has failed; false when `milliseconds` have passed.
public func waitForOutput(_ descriptor: Int32, milliseconds: Int32) -> Bool {
  // SAFETY: both arrays have one entry.
  unsafe synthgate_poll([descriptor], [Int16(POLLOUT)], 1, milliseconds) > 0
}

/// Waits until the mount table has changed or one of at most 15 descriptors is readable; bit 0 stands for the mounts,
/// whose descriptor is an open /proc/self/mountinfo.
public func waitForMountChange(_ mountInfo: Int32, or descriptors: [Int32], milliseconds: Int32) -> UInt32 {
  var events = [Int16](repeating: 0, count: descriptors.count + 1)
  events[0] = Int16(POLLPRI)
  let all = [mountInfo] + descriptors
  // SAFETY: both arrays have as many entries as is said.
  let bits = unsafe synthgate_poll(all, events, Int32(all.count), milliseconds)
  return UInt32(max(0, bits))
}

/// The user that this process acts as; 0 is root.
public func effectiveUser() -> UInt32 { geteuid() }

/// The number of this process.
public func ownProcess() -> Int32 { getpid() }

/// A pipe for lines of text between two processes.
public final class LinePipe: Sendable {
  /// The end to read from.
  public let reader: OwnedDescriptor
  /// The end to write to, to be given to the other process.
  public let writer: OwnedDescriptor

  /// A new pipe; both ends are closed on exec.
  public init() throws(Errno) {
    var numbers: [Int32] = [-1, -1]
    // SAFETY: the kernel writes two numbers into an array of two.
    _ = try unsafe checkErrno(pipe2(&numbers, O_CLOEXEC))
    reader = OwnedDescriptor(adopting: numbers[0])
    writer = OwnedDescriptor(adopting: numbers[1])
  }
}

/// Reads what is there now (at most 4 KiB), waiting for the first byte; empty at the end of the file.
public func readAvailable(_ descriptor: Int32) throws(Errno) -> [UInt8] {
  var buffer = [UInt8](repeating: 0, count: 4096)
  // SAFETY: the kernel writes at most as many bytes as the array has.
  let count = unsafe read(descriptor, &buffer, buffer.count)
  if count < 0 { throw Errno(rawValue: synthgate_errno()) }
  return Array(buffer[..<count])
}

/// Writes all bytes.
public func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(Errno) {
  var rest = bytes[...]
  while !rest.isEmpty {
    let chunk = Array(rest)
    // SAFETY: the kernel reads at most as many bytes as the array has.
    let count = unsafe write(descriptor, chunk, chunk.count)
    if count < 0 {
      if synthgate_errno() == EINTR { continue }
      throw Errno(rawValue: synthgate_errno())
    }
    rest = rest.dropFirst(count)
  }
}

/// Ends this process with an exit code.
public func endProcess(_ code: Int32) -> Never { exit(code) }

/// Whether the descriptor is a terminal.
public func isTerminalDescriptor(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

/// The name of the process `id`, as ps(1) shows it; nil when there is none.
public func processName(_ id: Int32) -> String? { readFirstLine("/proc/\(id)/comm") }
