public import LinuxIO
public import SharedMemory

/// What carries the bus of a guest to its host: a socket, or nothing but memory when both live in one process.
public protocol BusTransport: AnyObject, Sendable {
  /// Reaches the host and hands it the guest's memory.
  ///
  /// - Parameters:
  ///   - memory: the same on each connect of one guest.
  ///   - receiver: gets what the host sends, on a thread of the transport, until `ended`; that comes exactly once.
  /// - Throws: `.system` or `.refused` when there is no host.
  func connect(memory: SharedGuestMemory, receiver: any BusReceiver) throws(ChannelError) -> any BusLink
}

/// A connection of a guest with its host.
public protocol BusLink: AnyObject, Sendable {
  /// Posts a control message of at most 240 bytes; never waits.
  ///
  /// - Parameter connectionID: the message port, as HvPostMessage has it.
  func send(_ message: [UInt8], connectionID: UInt32)

  /// How the two ends of the channel wake each other. To be called once for each OPEN_CHANNEL_RESULT that says success.
  func takeWiring(relid: UInt32) -> GuestWiring?

  /// Ends the connection; the host is told why. `BusReceiver.ended` follows.
  func end(reason: String)

  /// Waits until the transport's thread is gone. Once, after `end` or `BusReceiver.ended`, from another thread.
  func join()
}

/// What a guest hears from its transport.
public protocol BusReceiver: AnyObject, Sendable {
  /// A control message has come; nothing about it has been checked.
  func received(_ message: [UInt8])
  /// The host is gone, and has let go of the guest's memory as far as anybody can tell.
  func ended(reason: String)
}

/// How the guest's end of one open channel and the host's end wake each other.
public struct GuestWiring {
  /// Tells the host.
  public let doorbell: any Doorbell
  /// Readable when the host has rung, or `wake` was signalled.
  public let waitDescriptor: Int32
  /// Resets `waitDescriptor` and keeps it open.
  public let listener: any DoorbellListener
  /// Makes `waitDescriptor` readable when the channel is lost.
  public let wake: EventFD

  /// The wiring of one channel.
  public init(doorbell: any Doorbell, waitDescriptor: Int32, listener: any DoorbellListener, wake: EventFD) {
    self.doorbell = doorbell
    self.waitDescriptor = waitDescriptor
    self.listener = listener
    self.wake = wake
  }
}

/// The memory of a guest and the file behind it, which the guest's process hands to the host.
public struct SharedGuestMemory: Sendable {
  /// The file; its first byte is at `guestAddress`.
  public let file: MemoryFile
  /// The guest physical address of the file's first byte.
  public let guestAddress: UInt64
  /// The mapping in the process that owns the memory.
  public let memory: GuestMemory

  /// Maps `file` at `guestAddress`, a multiple of the page size.
  ///
  /// - Throws: the errno of mmap(2).
  public init(file: MemoryFile, guestAddress: UInt64) throws(Errno) {
    self.file = file
    self.guestAddress = guestAddress
    memory = GuestMemory([GuestMemory.Range(guestAddress: guestAddress, region: try MemoryRegion(sharing: file))])
  }
}
