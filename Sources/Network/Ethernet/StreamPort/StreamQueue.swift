import LinuxIO
import SharedMemory
import WireBytes

/// The queue of a `StreamPort`.
///
/// What arrives is read in large pieces and lent out of private memory; what is sent is put together there and written
/// once a batch.
final class StreamQueue: EthernetQueue {
  let connection: StreamConnection
  let counters: StreamCounters
  private let readiness: Epoll
  private(set) var socket: StreamSocket?
  private var generation: UInt64 = 0
  private var watchesInput = true
  private var watchesRoom = false

  var input: StreamBuffer
  var output: StreamBuffer
  var finisher: FrameFinisher
  var lent = ScatterTables(count: 2)
  let room: PrivateMemory
  /// The frame at the start of the input, its tag taken out, that a full sink did not take.
  var waiting: LentFrame?
  /// How many bytes of the input the waiting frame has.
  var waitingByteCount = 0
  /// Since when the peer has taken nothing, while there is output for it.
  var stalledSince: UInt64?

  static let inputByteCount = 256 << 10
  static let outputByteCount = 512 << 10
  /// So much room there has to be before a frame is taken: enough for the segments of one with a common MSS.
  static let reserveByteCount = 160 << 10
  /// With more output than this a batch is not awaited.
  static let writeByteCount = 64 << 10

  private static let socketToken: UInt64 = 0
  private static let eventToken: UInt64 = 1

  init(_ connection: StreamConnection) throws(Errno) {
    self.connection = connection
    counters = connection.counters
    readiness = try Epoll()
    input = try StreamBuffer(capacity: StreamQueue.inputByteCount)
    output = try StreamBuffer(capacity: StreamQueue.outputByteCount)
    finisher = try FrameFinisher()
    room = try PrivateMemory(byteCount: FrameRoom.maximumFrameByteCount + 64)
    try readiness.add(connection.queueEvent.descriptor, token: StreamQueue.eventToken)
  }

  var readinessDescriptor: Int32 { readiness.descriptor }

  var isEnded: Bool { connection.hasEnded }

  func prepareToWait(forRoom: Bool) -> Bool {
    connection.queueEvent.drain()
    flush()
    if adopt() || connection.hasEnded { return true }
    guard let socket else { return false }
    if waiting == nil, case .incomplete = StreamFraming.head(of: input.bytes) {} else if waiting == nil { return true }
    if forRoom, hasRoom { return true }
    // A frame that waits for its sink must not keep the descriptor ready.
    let wantsInput = waiting == nil
    let wantsRoom = output.byteCount > 0
    if wantsInput != watchesInput || wantsRoom != watchesRoom {
      watchesInput = wantsInput
      watchesRoom = wantsRoom
      readiness.setInterest(
        socket.descriptor, token: StreamQueue.socketToken, readable: wantsInput, writable: wantsRoom)
    }
    return false
  }

  /// Changes to the connection's present socket; true if that is another one.
  @discardableResult
  func adopt() -> Bool {
    let now = connection.generation
    guard now != generation else { return false }
    generation = now
    let next = connection.socket
    guard next !== socket else { return false }
    if let socket { readiness.remove(socket.descriptor) }
    socket = nil
    input.removeAll()
    waiting = nil
    discardOutput()
    if let next {
      do throws(Errno) {
        try readiness.add(next.descriptor, token: StreamQueue.socketToken)
        watchesInput = true
        watchesRoom = false
        socket = next
      } catch {
        connection.drop(next, because: "epoll: \(error)")
      }
    }
    return true
  }

  /// Gives the present socket up.
  func drop(because reason: String) {
    guard let socket else { return }
    connection.drop(socket, because: reason)
    adopt()
  }

  func close() {
    adopt()
    flush()
    if let socket {
      readiness.remove(socket.descriptor)
      // Another queue would begin in the middle of a frame.
      if input.byteCount > 0 || output.byteCount > 0 {
        connection.drop(socket, because: "the queue was closed within a frame")
      }
    }
    socket = nil
    connection.releaseQueue()
  }
}
