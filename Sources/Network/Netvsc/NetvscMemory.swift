import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel

/// The memory that the host reads and writes: the two buffers, a page for control requests, overflow buffers of queues.
/// It stays over a restart of the host.
final class NetvscMemory: Sendable {
  struct Piece: Sendable {
    var slice: MemorySlice
    var address: UInt64
  }

  let receive: Piece
  let send: Piece
  let control: Piece
  private let overflows = Mutex<[Piece]>([])
  private let tainted = Atomic<Bool>(false)

  init(_ device: any GuestDevice, _ options: NetvscOptions) throws(ChannelError) {
    var pieces: [Piece] = []
    do throws(ChannelError) {
      let sendByteCount = options.sendBufferByteCount * options.queueCount
      pieces.append(try Self.allocate(device, .receive, byteCount: options.receiveBufferByteCount))
      pieces.append(try Self.allocate(device, .send, byteCount: sendByteCount))
      pieces.append(try Self.allocate(device, byteCount: pageByteCount))
    } catch {
      for piece in pieces { device.freeMemory(piece.slice) }
      throw error
    }
    (receive, send, control) = (pieces[0], pieces[1], pieces[2])
  }

  private static func allocate(
    _ device: any GuestDevice, _ purpose: BufferPurpose? = nil, byteCount: Int
  ) throws(ChannelError) -> Piece {
    let slice =
      if let purpose { try device.allocateBuffer(purpose, byteCount: byteCount) } else {
        try device.allocateMemory(byteCount: byteCount)
      }
    guard let address = device.memory.guestAddress(of: slice) else {
      device.freeMemory(slice)
      throw .protocolFault("memory of the bus that has no guest address")
    }
    return Piece(slice: slice, address: address)
  }

  /// The overflow buffers of queue `index`, allocated once.
  func overflow(_ index: Int, _ device: any GuestDevice, _ options: NetvscOptions) throws(ChannelError) -> Piece {
    while true {
      let (piece, count) = overflows.withLock { ($0.count > index ? $0[index] : nil, $0.count) }
      if let piece { return piece }
      precondition(count <= index)
      let new = try Self.allocate(device, byteCount: options.longFrameCount * QueueSetup.overflowByteCount)
      overflows.withLock { $0.append(new) }
    }
  }

  /// The host may go on using the memory: it is never given back.
  func taint() { tainted.store(true, ordering: .releasing) }

  var isTainted: Bool { tainted.load(ordering: .acquiring) }

  /// Whether `device` sees the memory where the last one did.
  func belongs(to device: any GuestDevice) -> Bool {
    device.memory.guestAddress(of: receive.slice) == receive.address
  }

  /// Gives all of it back, unless the host may still use it. Only once.
  func free(_ device: any GuestDevice) {
    guard !isTainted else { return }
    for piece in [receive, send, control] + overflows.withLock({ $0 }) { device.freeMemory(piece.slice) }
  }
}
