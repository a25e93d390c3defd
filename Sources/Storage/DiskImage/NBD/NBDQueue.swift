import Block
import LinuxIO
import NBDConnection
import SharedMemory

/// A queue of an NBD image: one connection, which the owner's thread drives.
///
/// A request goes through its range from the start: each part that is contiguous in memory and not too long for the server
/// becomes a command; short scattered parts are gathered in a bounce buffer. The request ends with its last command.
///
/// When the connection ends, commands wait for the next one and are sent again, in their order: reads, zeros and trims can
/// be repeated, and so can writes, since nobody has been told of their end.
final class NBDQueue: BlockQueue {
  struct Slot {
    var request: BlockRequest
    var isBusy = false
    /// The next byte of the disk that no command covers yet.
    var position: UInt64 = 0
    /// Where that stands in the memory: the piece of the list, and the byte in it.
    var entry = 0
    var entryOffset = 0
    /// Commands that have not ended.
    var commandCount = 0
    var error: BlockError?
    /// Whether zeros are sent, since the server can't be told to zero.
    var sendsZeros = false
    /// Whether all writes are done and only their flush is missing.
    var isFlushing = false
    var mark = NBDDurability.Mark()
    var extent: BlockCompletion.Extent?
  }

  struct Command {
    enum State: UInt8 { case free, unsent, sent }
    var state = State.free
    var operation = NBDConnection.Operation.read
    var slot = 0
    var offset: UInt64 = 0
    var byteCount: UInt64 = 0
    var memory: MemorySlice?
    var flags: NBDConnection.Flags = []
    /// For a bounced read: where its bytes go.
    var bounced: (entry: Int, entryOffset: Int)?
    /// Commands are sent again in this order.
    var number: UInt64 = 0
  }

  /// What is behind the queue.
  enum Link {
    case up
    /// The connection is lost since then, in nanoseconds; requests wait.
    case outage(since: UInt64)
    /// A request has waited too long: all fail until there is a connection again.
    case failing
    /// The export is another one: requests fail for ever.
    case gone
  }

  let depth: Int
  let image: NBDImage
  let geometry: NBDGeometry
  var slots: [Slot]
  var commands: [Command]
  var freeCommands: [Int]
  /// Requests that wait for a free command, in their order.
  var waiting: [UInt32] = []
  var nextNumber: UInt64 = 0
  /// Made when it is needed first: `bounceByteCount` for each command.
  var bounce: MemoryRegion?

  var link = Link.up
  var connection: NBDConnection?
  var ticket: NBDReconnector.Ticket?
  /// The ticket's.
  let event: EventFD
  let timer: TimerFD
  var timerDue: UInt64 = 0
  let readiness: Epoll
  private var watched: (descriptor: Int32, input: Bool, output: Bool) = (-1, false, false)
  /// Commands that the connection has.
  var sentCount = 0
  /// When the connection has last answered, or was first asked after it had answered everything.
  var lastAnswer: UInt64 = 0
  /// Requests that have not ended, and since when there have been some without any answer, over all connections.
  var busyCount = 0
  var waitingSince: UInt64 = 0
  /// The last write over the connection that was acknowledged without being durable; see `NBDDurability`.
  var lastAcknowledged: UInt64
  /// When the connection was made, whether it has answered, and how many in a row have ended before they did.
  var connectedAt: UInt64 = 0
  var hasAnswered = false
  var fruitlessCount = 0

  /// Whether `event` was signalled by this queue, to be looked at soon.
  var hasSignalledItself = false
  private var isClosed = false
  private var finished: [BlockCompletion] = []
  private var taken: [BlockCompletion] = []

  /// The longest part that is gathered in a bounce buffer.
  static let bounceByteCount = 256 << 10
  /// Parts of at least this length are commands of their own.
  static let shortestPart = 64 << 10

  /// - Parameters:
  ///   - connection: nil, or one that may have ended: then the queue begins with an outage.
  ///   - lastAcknowledged: what came over it before.
  init(
    image: NBDImage, depth: Int, connection: consuming NBDConnection?, lastAcknowledged: UInt64
  ) throws(Errno) {
    guard depth > 0, depth <= 16384 else { throw .EINVAL }
    self.image = image
    self.depth = depth
    geometry = image.geometry
    self.lastAcknowledged = lastAcknowledged
    slots = Array(repeating: Slot(request: BlockRequest(.flush, tag: 0)), count: depth)
    commands = Array(repeating: Command(), count: NBDImage.commandCount)
    freeCommands = Array((0..<NBDImage.commandCount).reversed())
    event = try EventFD()
    timer = try TimerFD()
    readiness = try Epoll(capacity: 4)
    try readiness.add(event.descriptor, token: 1)
    try readiness.add(timer.descriptor, token: 2)
    waiting.reserveCapacity(depth)
    finished.reserveCapacity(depth)
    taken.reserveCapacity(depth)
    if let connection, connection.isAlive {
      self.connection = consume connection
      connectedAt = monotonicNanoseconds()
      watch()
    } else {
      // It has ended while nobody looked at it.
      lose("")
    }
  }

  deinit {
    if !isClosed { leave() }
  }

  var readinessDescriptor: Int32 { readiness.descriptor }

  func submit(_ request: BlockRequest) {
    let index = Int(request.tag)
    precondition(index < depth && !slots[index].isBusy, "the tag is in flight")
    if let error = refusal(of: request) {
      finished.append(BlockCompletion(tag: request.tag, error: error))
      return
    }
    slots[index] = Slot(request: request, isBusy: true, position: request.offset)
    busyCount += 1
    switch link {
    case .failing: return finish(index, .failed)
    case .gone: return finish(index, .gone)
    case .up: if busyCount == 1 { waitingSince = monotonicNanoseconds() }
    case .outage:
      if busyCount == 1 {
        waitingSince = monotonicNanoseconds()
        setTimer(at: outageEnd)
      }
    }
    begin(index)
  }

  func flushSubmissions() { watch() }

  func prepareToWait() -> Bool { !finished.isEmpty }

  @discardableResult
  func reap(_ body: (BlockCompletion) -> Void) -> Int {
    look()
    // What `body` submits and is done at once waits for the next call, so that one call ends.
    swap(&finished, &taken)
    let count = taken.count
    for index in 0..<count { body(taken[index]) }
    taken.removeAll(keepingCapacity: true)
    watch()
    return count
  }

  func close() {
    precondition(slots.allSatisfy { !$0.isBusy }, "requests are in flight")
    if !isClosed { leave() }
  }

  private func leave() {
    isClosed = true
    ticket?.abandon()
    ticket = nil
    unwatch()
    image.leave(connection.take(), lastAcknowledged: lastAcknowledged)
  }

  /// Ends a request.
  func finish(_ index: Int, _ error: BlockError? = nil, extent: BlockCompletion.Extent? = nil) {
    slots[index].isBusy = false
    busyCount -= 1
    finished.append(BlockCompletion(tag: UInt32(index), error: error, extent: extent))
  }

  /// Watches the socket for what the connection waits for.
  func watch() {
    guard let descriptor = connection?.descriptor, let direction = connection?.direction else { return }
    guard descriptor >= 0 else {
      // It has ended while something was sent; nothing else would tell.
      if !hasSignalledItself { event.signal() }
      hasSignalledItself = true
      return
    }
    if watched.descriptor == descriptor, watched.input == direction.input, watched.output == direction.output { return }
    if watched.descriptor != descriptor {
      // If the set has no room for it, the timer still finds out that no answers come.
      try? readiness.add(descriptor, token: 0)
    }
    readiness.setInterest(descriptor, token: 0, readable: direction.input, writable: direction.output)
    watched = (descriptor, direction.input, direction.output)
  }

  /// Stops watching the socket, which is about to be closed.
  func unwatch() {
    if watched.descriptor >= 0 { readiness.remove(watched.descriptor) }
    watched = (-1, false, false)
  }

  func setTimer(at time: UInt64) {
    timerDue = time
    timer.set(at: time)
  }
}
