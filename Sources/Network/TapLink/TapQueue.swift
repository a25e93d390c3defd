public import Ethernet
import LinuxIO
import SharedMemory

/// One queue of a `TapPort`: frames that the kernel sends over the link are read here, and frames that are written here
/// arrive at the link.
public final class TapQueue: EthernetQueue {
  let device: TapDevice
  let counters: TapQueueCounters
  private let port: TapPort
  private let slot: Int
  /// Private memory: the header of a frame, and 16 bytes behind it for addresses and a tag; from `roomOffset` on the room.
  private let memory: MemoryRegion
  let head: MemorySlice
  private let room: MemorySlice
  private var roomTable = ScatterTables(count: 1)
  /// Whether the link is gone.
  public internal(set) var isEnded = false
  private var isClosed = false

  private static let headByteCount = 64
  private static let roomOffset = 4096
  /// How far into the room a frame may start.
  private static let maximumStart = 64

  init(port: TapPort, slot: Int, device: TapDevice, counters: TapQueueCounters) throws(Errno) {
    self.port = port
    self.slot = slot
    self.device = device
    self.counters = counters
    let roomByteCount = FrameRoom.maximumFrameByteCount + TapQueue.maximumStart
    memory = try MemoryRegion(anonymous: TapQueue.roomOffset + roomByteCount)
    head = memory.slice.slice(at: 0, count: TapQueue.headByteCount)
    room = memory.slice.slice(at: TapQueue.roomOffset, count: roomByteCount)
  }

  deinit {
    close()
  }

  /// Readable while a frame waits; an error is reported when the link is gone.
  public var readinessDescriptor: Int32 { device.descriptor }

  /// The kernel takes every frame, or drops it: there is always room.
  public func prepareToWait(forRoom: Bool) -> Bool { isEnded }

  /// Detaches the queue from the link.
  public func close() {
    if isClosed { return }
    isClosed = true
    isEnded = true
    port.release(slot)
  }

  // MARK: Towards the link

  /// Writes the frame; a frame that the link does not take is dropped and counted.
  public func send(_ frame: LentFrame) -> Bool {
    write(frame.bytes, offload: frame.offload)
    return true
  }

  /// Private room for the longest frame that there is.
  public func reserve() -> FrameRoom? {
    FrameRoom(bytes: roomTable.list(of: room, slot: 0))
  }

  /// Writes the frame in the room; see `send`.
  public func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    write(roomTable.list(of: room.slice(at: start, count: byteCount), slot: 0), offload: offload)
  }

  /// Nothing waits to be made visible.
  public func flush() {}

  private func write(_ bytes: ScatterList, offload: FrameOffload) {
    guard bytes.byteCount >= FrameHeaders.networkOffset, bytes[0].byteCount >= 12 else {
      counters.refusedFrames.add(1)
      return
    }
    let header = VirtioNetHeader(offload)
    head.storeLE64(header.low, at: 0)
    head.storeLE64(UInt64(header.high), at: 8)
    var headByteCount = VirtioNetHeader.byteCount
    var skipped = 0
    if let vlan = offload.vlan {
      // Addresses, the tag (0x8100 and the tag's information in network order), and then the rest of the frame.
      head.copyIn(bytes[0].slice(at: 0, count: 12), at: 12)
      head.storeLE64(0x81 | UInt64(vlan.byteSwapped) << 16, at: 24)
      headByteCount += 16
      skipped = 12
    }
    let written = bytes.writeOnce(
      to: device.descriptor, head: head.slice(at: 0, count: headByteCount), skipping: skipped)
    if written >= 0 {
      counters.framesWritten.add(1)
      counters.bytesWritten.add(UInt64(written - VirtioNetHeader.byteCount))
      return
    }
    switch Errno(rawValue: Int32(-written)) {
    case .EIO, .ENETDOWN: counters.framesWhileDown.add(1)
    case .EBADFD: isEnded = true
    default: counters.refusedFrames.add(1)
    }
  }
}
