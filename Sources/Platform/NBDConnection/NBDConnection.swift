import CNBD
public import LinuxIO
public import SharedMemory

/// A connection with an NBD server: commands by tag, many at a time, that complete in any order.
///
/// Connecting waits; afterwards nothing does. The owner watches `descriptor` for what `direction` says, calls `progress`
/// when it is ready, and takes completions. When the server is gone, or breaks the protocol, all commands complete with
/// ENOTCONN and `isAlive` is false: a connection is never opened anew. It is closed when its owner ends; no memory of a
/// command is touched from then on.
@safe public struct NBDConnection: ~Copyable, @unchecked Sendable {
  // Sendable, because there is only ever one owner, and libnbd does not care which thread calls.
  // SAFETY: owned; valid until deinit.
  private let connection: OpaquePointer
  /// Tags are below it.
  public let depth: Int
  /// What the server has told of the export.
  public let export: NBDExport

  /// Connects, and opens the export. It waits `milliseconds` at most, and besides as long as the resolution of a name takes.
  ///
  /// - Parameters:
  ///   - depth: how many tags there are.
  ///   - cancel: a descriptor that becomes readable when nobody wants the connection any more.
  /// - Throws: why there is none.
  public init(
    to endpoint: NBDEndpoint, depth: Int, milliseconds: Int, cancel: Int32? = nil
  ) throws(NBDError) {
    precondition(depth > 0 && depth <= 1 << 16)
    var made: OpaquePointer?
    // SAFETY: the call fills a local value; the connection is this value's, or destroyed below.
    let result = unsafe synthgate_nbd_create(UInt32(depth), &made)
    guard result == 0, let made = unsafe made else { throw NBDError(.setUp, .ENOMEM) }
    do throws(NBDError) {
      // SAFETY: valid, and nobody else's.
      export = try unsafe Self.open(made, endpoint, milliseconds: milliseconds, cancel: cancel)
    } catch {
      unsafe synthgate_nbd_destroy(made)
      throw error
    }
    unsafe connection = unsafe made
    self.depth = depth
  }

  deinit {
    // SAFETY: closes the socket; nothing is written into memory of commands afterwards.
    unsafe synthgate_nbd_destroy(connection)
  }

  /// Whether commands can be sent.
  public var isAlive: Bool { unsafe synthgate_nbd_state(connection) == SYNTHGATE_NBD_READY }

  /// The socket; -1 when the connection has ended.
  public var descriptor: Int32 { unsafe synthgate_nbd_descriptor(connection) }

  /// What the socket is to be watched for.
  public var direction: (input: Bool, output: Bool) {
    let bits = unsafe synthgate_nbd_direction(connection)
    return (bits & 1 != 0, bits & 2 != 0)
  }

  /// Why the connection has ended, as far as libnbd knows; empty when the server has closed it.
  public var problem: String { unsafe String(cString: synthgate_nbd_problem(connection)) }

  /// What a command does.
  public enum Operation: Int32, Sendable {
    /// Fills the memory.
    case read = 0
    /// Sends the memory.
    case write = 1
    /// Makes durable what was answered before.
    case flush = 2
    /// Gives a range up; what it holds afterwards is not known.
    case trim = 3
    /// Makes a range read as zeros.
    case zero = 4
    /// Asks for the state of the bytes from the offset on.
    case blockStatus = 5
  }

  /// Further wishes.
  public struct Flags: OptionSet, Sendable {
    /// The bits.
    public let rawValue: Int32
    /// Flags of these bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }
    /// Durable before it completes; only where `canForceUnitAccess`.
    public static let forceUnitAccess = Flags(rawValue: 1)
    /// Zeros keep their storage.
    public static let keepStorage = Flags(rawValue: 2)
  }

  /// Sends a command, as far as the socket takes it now.
  ///
  /// - Parameters:
  ///   - tag: one that is free.
  ///   - memory: for reads and writes; it stays as it is until the completion is taken or the connection is closed.
  ///   - byteCount: the length of the range; that of `memory` where there is one.
  /// - Throws: ENOTCONN when the connection has ended, or why the command is wrong; there is no completion then.
  public mutating func submit(
    _ operation: Operation, tag: Int, memory: MemorySlice? = nil, offset: UInt64, byteCount: UInt64, flags: Flags = []
  ) throws(Errno) {
    precondition(tag >= 0 && tag < depth)
    precondition(memory.map { UInt64($0.byteCount) == byteCount } ?? (operation != .read && operation != .write))
    // SAFETY: the memory has `byteCount` bytes (checked above) and stays mapped, see MemorySlice.
    let pointer = unsafe memory.map { unsafe $0.pointer }
    _ = try unsafe check(
      synthgate_nbd_submit(
        connection, operation.rawValue, UInt32(tag), pointer, byteCount, offset, flags.rawValue))
  }

  /// Sends and receives as much as is possible now.
  public mutating func progress() { unsafe synthgate_nbd_progress(connection) }

  /// The end of a command.
  public struct Completion: Sendable, Equatable {
    /// Its tag.
    public var tag: Int
    /// Nil when all was done; ENOTCONN: the connection has ended.
    public var error: Errno?
    /// For `blockStatus`: so many bytes have one state; 0 when the server did not tell. Not checked in any way.
    public var extentByteCount: UInt64
    /// Whether they read as zeros.
    public var isZero: Bool
    /// Whether they take no storage.
    public var isHole: Bool
  }

  /// Takes a completion; nil when there is none.
  public mutating func takeCompletion() -> Completion? {
    var tag: UInt32 = 0
    var error: Int32 = 0
    var length: UInt64 = 0
    var status: UInt32 = 0
    // SAFETY: local values are filled during the call.
    guard unsafe synthgate_nbd_take(connection, &tag, &error, &length, &status) == 1 else { return nil }
    return Completion(
      tag: Int(tag), error: error == 0 ? nil : Errno(rawValue: error), extentByteCount: length,
      isZero: status & 2 != 0, isHole: status & 1 != 0)
  }

  /// Waits until the socket is ready, or `milliseconds` are over.
  public func wait(milliseconds: Int) {
    unsafe _ = synthgate_nbd_wait(connection, -1, Int32(clamping: milliseconds))
  }

  /// Says goodbye and waits until the server has closed, `milliseconds` at most. Nothing may be in flight.
  public mutating func disconnect(milliseconds: Int) {
    let end = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    guard unsafe synthgate_nbd_disconnect(connection) == 0 else { return }
    while unsafe synthgate_nbd_state(connection) != SYNTHGATE_NBD_ENDED {
      let now = monotonicNanoseconds()
      if now >= end { return }
      wait(milliseconds: Int((end - now) / 1_000_000) + 1)
      progress()
    }
  }
}
