public import SharedMemory
import Synchronization
public import VMBusChannel
public import VMBusProtocol

/// A device of a `VMBusClient`, from its offer until the host takes it back or is gone.
public final class ClientDevice: GuestDevice {
  struct OpenChannel: Sendable {
    let relid: UInt32
    let gpadl: UInt32
    let rings: MemorySlice
  }

  /// The offer of the primary channel.
  public let offer: ChannelOffer
  /// Of which connection the device is; an older one holds nothing any more.
  let generation: Int
  private let client: VMBusClient
  private let lost = Atomic<Bool>(false)
  private let open = Mutex<[OpenChannel]>([])

  init(_ offer: ChannelOffer, generation: Int, client: VMBusClient) {
    self.offer = offer
    self.generation = generation
    self.client = client
  }

  /// The memory that the host can reach.
  public var memory: GuestMemory { client.memory }

  /// Whether the host has taken the device back, or is gone.
  public var isLost: Bool { lost.load(ordering: .acquiring) }

  func markLost() { lost.store(true, ordering: .releasing) }

  /// Zeroed memory that the host can reach, at contiguous guest addresses.
  ///
  /// - Throws: `.system` with ENOMEM.
  public func allocateMemory(byteCount: Int) throws(ChannelError) -> MemorySlice {
    try client.allocateMemory(byteCount: byteCount)
  }

  /// Gives memory of `allocateMemory` back. The host must not use it any more.
  public func freeMemory(_ slice: MemorySlice) {
    client.freeMemory(slice)
  }

  /// Opens the primary channel.
  ///
  /// - Throws: `.refused`, `.timedOut`, `.lost`.
  public func openPrimary(ringByteCount: Int) throws(ChannelError) -> Channel {
    try openChannel(offer, ringByteCount: ringByteCount)
  }

  /// Opens sub-channel `index`, waiting for its offer at most `milliseconds`.
  ///
  /// - Throws: `.refused`, `.timedOut`, `.lost`.
  public func openSubChannel(_ index: Int, ringByteCount: Int, milliseconds: Int) throws(ChannelError) -> Channel {
    let offer = try client.awaitSubChannel(index, of: self, milliseconds: milliseconds)
    return try openChannel(offer, ringByteCount: ringByteCount)
  }

  private func openChannel(_ offer: ChannelOffer, ringByteCount: Int) throws(ChannelError) -> Channel {
    if isLost { throw .lost }
    let (channel, record) = try client.open(offer, ringByteCount: ringByteCount, generation: generation)
    open.withLock { $0.append(record) }
    return channel
  }

  /// Closes all sub-channels, then the primary, and frees the rings.
  public func close() {
    let channels = open.withLock { open in
      let channels = open
      open = []
      return channels
    }
    for channel in channels.reversed() { client.close(channel, generation: generation) }
  }

  /// Announces memory of `allocateMemory` to the host under a number of its own, for protocols that name buffers so.
  ///
  /// - Parameter slice: whole pages, at most 8190 of them: what the 16-bit length of GPADL_HEADER can say.
  /// - Throws: `.refused`, `.timedOut`, `.lost`.
  public func createGPADL(_ slice: MemorySlice) throws(ChannelError) -> UInt32 {
    try client.createGPADL(slice, relid: offer.relid, generation: generation)
  }

  /// Takes memory of `createGPADL` back; false when the host did not confirm it, so that it must not be freed.
  public func tearDownGPADL(_ gpadl: UInt32) -> Bool {
    client.tearDown(gpadl, relid: offer.relid, generation: generation)
  }
}
