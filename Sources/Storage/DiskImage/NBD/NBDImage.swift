import Block
import LinuxIO
import NBDConnection
import SharedMemory
import Synchronization

/// The export of an NBD server as a disk.
///
/// Each queue has a connection of its own; there are several only where the server vouches that a flush of one covers what
/// others have written. Connections are made when the image is opened, and lent to queues; a queue whose connection ends
/// gets a new one from `NBDReconnector` while its requests wait.
final class NBDImage: OpenedImage {
  /// What the server has told; a server that comes back has to tell the same.
  let export: NBDExport
  let geometry: NBDGeometry
  let durability = NBDDurability()
  let reconnector: NBDReconnector
  /// Zeros to be written where the server can't be told to zero; never written to.
  let zeros: MemoryRegion
  /// Whether the server takes requests for zeros; false once it has said that it does not.
  let canZero: Atomic<Bool>
  /// How long requests wait for a server that is gone, and for an answer of one that is there.
  let outageMilliseconds: Int
  let answerMilliseconds: Int
  private let name: String
  private let report: (@Sendable (String) -> Void)?
  private let state: Mutex<State>
  private let isClosed = Atomic<Bool>(false)

  private struct State {
    var info: BlockDeviceInfo
    var memory: [MemoryRegion] = []
    var queueCount = 0
    var spares: [Spare] = []
  }

  /// A connection that no queue has.
  private final class Spare: Sendable {
    let connection: Mutex<NBDConnection?>
    /// The last write over it that was acknowledged without being durable.
    let lastAcknowledged: UInt64

    init(_ connection: consuming NBDConnection, lastAcknowledged: UInt64 = 0) {
      self.connection = Mutex(consume connection)
      self.lastAcknowledged = lastAcknowledged
    }
  }

  /// The most bytes of a transfer of a disk; a queue takes longer ones, too.
  static let maximumTransferByteCount: UInt64 = 4 << 20
  /// Commands that are in flight on one connection.
  static let commandCount = 320
  static let zeroByteCount = 1 << 20
  static let openMilliseconds = 10_000
  /// Further connections are made at once or not at all: a server that takes no more lets them wait for ever.
  private static let furtherMilliseconds = 1000

  /// Connects.
  ///
  /// - Throws: `.server`, `.readOnlyStorage`, `.sectorSize`, `.empty`, `.system`.
  init(_ address: NBDAddress, options: DiskImage.Options) throws(DiskImageError) {
    if options.format != .automatic, options.format != .raw {
      throw .server(
        .unfit("an NBD server serves the bytes of the disk", advice: "leave --format away, or say raw"))
    }
    let endpoint = address.endpoint
    let first = try Self.connect(endpoint, milliseconds: Self.openMilliseconds)
    let told = first.export
    export = told
    geometry = try NBDGeometry(told, options)
    outageMilliseconds = options.reconnectSeconds * 1000
    answerMilliseconds = options.answerMilliseconds
    canZero = Atomic(geometry.canZero)
    name = address.canonicalText
    report = options.report
    reconnector = try system("take a descriptor") { () throws(Errno) in
      try NBDReconnector(endpoint, export: told, depth: Self.commandCount)
    }
    zeros = try system("take memory") { () throws(Errno) in try MemoryRegion(anonymous: Self.zeroByteCount) }
    var info = geometry.info(told)
    info.identity = options.identity ?? derivedIdentity(address.canonicalText)
    info.serial = options.serial ?? hexadecimal(info.identity.high)
    var state = State(info: info)
    state.spares.append(Spare(first))
    let wanted = told.canMultiConnection ? max(1, options.connectionCount) : 1
    while state.spares.count < wanted {
      guard let next = try? Self.connect(endpoint, milliseconds: Self.furtherMilliseconds) else { break }
      guard told.change(to: next.export) == nil else { break }
      state.spares.append(Spare(next))
    }
    maximumQueueCount = state.spares.count
    self.state = Mutex(state)
  }

  deinit {
    try? close()
  }

  static func connect(_ endpoint: NBDEndpoint, milliseconds: Int) throws(DiskImageError) -> NBDConnection {
    do throws(NBDError) {
      return try NBDConnection(to: endpoint, depth: commandCount, milliseconds: milliseconds)
    } catch {
      throw .server(NBDProblem(error, endpoint))
    }
  }

  /// What the disk is.
  var info: BlockDeviceInfo { state.withLock { $0.info } }

  /// `direct`: every write is durable when it completes.
  var cache: DiskImage.Cache { geometry.isWriteThrough ? .direct : .buffered }

  /// As many as there are connections.
  let maximumQueueCount: Int

  /// Never changes while the image is open.
  func refreshSize() -> Bool { false }

  /// Not possible: it is the server's.
  func resize(to byteCount: UInt64) throws(DiskImageError) {
    if byteCount != info.byteCount { throw .length("an NBD export can't be resized from here") }
  }

  /// Anonymous memory.
  func allocateMemory(byteCount: Int) throws(BlockError) -> MemorySlice {
    guard byteCount > 0, let region = try? MemoryRegion(anonymous: byteCount) else { throw .noMemory }
    state.withLock { $0.memory.append(region) }
    return region.slice
  }

  /// A queue with a connection of its own.
  func makeQueue(depth: Int) throws(BlockError) -> any BlockQueue {
    let spare: Spare? = try state.withLock { state throws(BlockError) in
      guard state.queueCount < maximumQueueCount, !isClosed.load(ordering: .acquiring) else { throw .busy }
      state.queueCount += 1
      return state.spares.popLast()
    }
    do throws(Errno) {
      return try NBDQueue(
        image: self, depth: depth, connection: spare?.connection.withLock { $0.take() },
        lastAcknowledged: spare?.lastAcknowledged ?? 0)
    } catch {
      leave(nil, lastAcknowledged: 0)
      throw BlockError(error)
    }
  }

  /// A queue has ended, and gives its connection back.
  func leave(_ connection: consuming NBDConnection?, lastAcknowledged: UInt64) {
    var spare: Spare?
    if let connection { spare = Spare(connection, lastAcknowledged: lastAcknowledged) }
    state.withLock { state in
      state.queueCount -= 1
      if let spare { state.spares.append(spare) }
    }
  }

  /// Tells something that is worth a line in a log.
  func tell(_ text: String) { report?("\(name): \(text)") }

  /// Flushes and says goodbye, some seconds at most. Queues that are about to end are waited for.
  func close() throws(DiskImageError) {
    for _ in 0..<500 where state.withLock({ $0.queueCount > 0 }) { sleepThread(nanoseconds: 10_000_000) }
    guard state.withLock({ $0.queueCount == 0 }) else { throw .system(what: "close it", .EBUSY) }
    if isClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
    defer { reconnector.stop() }
    let spares = state.withLock { state in
      defer { state.spares = [] }
      return state.spares
    }
    var failure: Errno?
    if durability.isInDoubt { failure = Errno.ENOTCONN }
    for spare in spares {
      guard var connection = spare.connection.withLock({ $0.take() }) else { continue }
      if failure == .ENOTCONN, connection.isAlive { failure = flush(&connection) }
      connection.disconnect(milliseconds: 1000)
    }
    if let failure {
      tell("it is closed without a flush (\(failure)): writes may be lost")
      throw .system(what: "flush it", failure)
    }
  }

  private static let closingFlushMilliseconds = 10_000

  private func flush(_ connection: inout NBDConnection) -> Errno? {
    let mark = durability.beginFlush()
    do throws(Errno) { try connection.submit(.flush, tag: 0, offset: 0, byteCount: 0) } catch { return error }
    let end = monotonicNanoseconds() + UInt64(Self.closingFlushMilliseconds) * 1_000_000
    while monotonicNanoseconds() < end {
      connection.wait(milliseconds: 100)
      connection.progress()
      if let completion = connection.takeCompletion() {
        return completion.error ?? (durability.endFlush(mark) ? nil : .EIO)
      }
    }
    return .ETIMEDOUT
  }
}

/// What an errno of a server means for a request. (Errors on the wire: doc/proto.md of the NBD project.)
func nbdError(_ errno: Errno) -> BlockError {
  // Offsets and lengths are checked before anything is sent: the server does not keep its word.
  errno == .EINVAL ? .failed : blockError(errno)
}
