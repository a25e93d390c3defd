public import SharedMemory
public import VMBusProtocol

/// A device of the bus as a guest's driver (a virtualization service consumer, VSC) sees it, whatever carries the bus.
/// Control plane: calls may wait; any thread.
public protocol GuestDevice: AnyObject, Sendable {
  /// The offer of the primary channel.
  var offer: ChannelOffer { get }

  /// The memory that the host can reach. It does not change while the bus lives, also over a restart of the host.
  var memory: GuestMemory { get }

  /// Zeroed memory that the host can reach, at contiguous guest addresses. It stays allocated as long as the bus lives, or
  /// until `freeMemory`.
  ///
  /// - Throws: `.system` with ENOMEM.
  func allocateMemory(byteCount: Int) throws(ChannelError) -> MemorySlice

  /// Memory for a purpose for which some buses have a buffer that the host knows already; else as `allocateMemory`. It may
  /// be longer or shorter than asked for. `createGPADL` of all of it tells its number.
  ///
  /// - Throws: `.system` with ENOMEM; what the opening of the device throws.
  func allocateBuffer(_ purpose: BufferPurpose, byteCount: Int) throws(ChannelError) -> MemorySlice

  /// Gives memory of `allocateMemory` or `allocateBuffer` back. The host must not use it any more.
  func freeMemory(_ slice: MemorySlice)

  /// Opens the primary channel.
  ///
  /// - Parameter ringByteCount: length of each ring, control page included; a bus that has fixed rings ignores it.
  /// - Throws: `.refused`, `.timedOut`, `.lost`.
  func openPrimary(ringByteCount: Int) throws(ChannelError) -> Channel

  /// Opens sub-channel `index` (1...), which the driver asked for in the device's own protocol; waits for its offer.
  ///
  /// - Throws: `.refused`, `.timedOut`, `.lost`.
  func openSubChannel(_ index: Int, ringByteCount: Int, milliseconds: Int) throws(ChannelError) -> Channel

  /// The most sub-channels that the driver may ask the host for.
  var maximumSubChannelCount: Int { get }

  /// Opens the sub-channels 1 to `count`, which the driver asked for in the device's own protocol, as far as they come. Until
  /// it answers the driver must not use the other channels.
  ///
  /// - Throws: `.lost` or `.system` when the device is of no use any more.
  func openSubChannels(_ count: Int, ringByteCount: Int, milliseconds: Int) throws(ChannelError) -> [Channel]

  /// Announces memory of `allocateMemory` or `allocateBuffer` to the host under a number of its own, for protocols that name buffers so.
  ///
  /// - Parameter slice: whole pages, at most 8190 of them: what the 16-bit length of GPADL_HEADER can say.
  /// - Throws: `.refused`, `.timedOut`, `.lost`.
  func createGPADL(_ slice: MemorySlice) throws(ChannelError) -> UInt32

  /// Takes memory of `createGPADL` back; false when the host did not confirm it, so that it must not be freed.
  func tearDownGPADL(_ gpadl: UInt32) -> Bool

  /// Closes all sub-channels, then the primary, and frees the rings. The channels must not be used any more.
  func close()

  /// Whether the host has taken the device back, or is gone.
  var isLost: Bool { get }
}

/// What a buffer that is announced as a whole is for.
public enum BufferPurpose: Sendable {
  /// The host writes into it what comes from the network.
  case receive
  /// The host reads out of it what goes to the network.
  case send
}

extension GuestDevice {
  /// As many as the host gives.
  public var maximumSubChannelCount: Int { .max }

  /// One after the other: a sub-channel that does not come is no reason to do without those before it.
  public func openSubChannels(
    _ count: Int, ringByteCount: Int, milliseconds: Int
  ) throws(ChannelError) -> [Channel] {
    var channels: [Channel] = []
    for index in 0..<count {
      guard
        let channel = try? openSubChannel(index + 1, ringByteCount: ringByteCount, milliseconds: milliseconds)
      else { break }
      channels.append(channel)
    }
    return channels
  }

  /// Ordinary memory of the bus, which is announced by `createGPADL`.
  public func allocateBuffer(_ purpose: BufferPurpose, byteCount: Int) throws(ChannelError) -> MemorySlice {
    try allocateMemory(byteCount: byteCount)
  }
}
