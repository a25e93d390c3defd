import LinuxIO
public import SharedMemory
import Synchronization
public import VMBusProtocol
import VMBusRing
import WireBytes

/// One end of an open channel: a ring in each direction, and the doorbell of the peer.
///
/// It belongs to one thread at a time. Writes gather until `flush`, which rings at most once for the batch; space of
/// packets that were read is given back by `flush` too. Only `markLost` and `counters` may be used from elsewhere.
public final class Channel {
  /// Number of the channel in its connection.
  public let relid: UInt32
  /// Readable when the peer has rung, or something else wants this end to look.
  public let waitDescriptor: Int32
  /// What happened so far.
  public let counters: ChannelCounters

  private var outgoing: OutgoingRing
  private var incoming: IncomingRing
  private let doorbell: any Doorbell
  private let listener: (any DoorbellListener)?
  private let acceptedTypes: PacketTypeSet
  private let pageTable: GuestPageTable?
  private let owner: (any AnyObject & Sendable)?
  private var outBuffer: [UInt8]
  private var inBuffer: [UInt8]

  /// The longest packet that is sent or taken, in bytes: descriptor, page numbers of 2 MiB at least, and payload.
  public static let maximumPacketByteCount = 8192

  /// An end over two rings that are initialized.
  ///
  /// - Parameters:
  ///   - outgoing: the ring that this end writes, control page included.
  ///   - incoming: the ring that this end reads.
  ///   - acceptedTypes: what the peer may send; anything else is a fault of the peer.
  ///   - doorbell: tells the peer.
  ///   - listener: what `waitDescriptor` is made of, reset by `acknowledgeSignal`; nil where nothing needs it.
  ///   - pageTable: the page numbers of the memory that `sendGPADirect` names, where guest addresses are not enough.
  ///   - owner: keeps the rings mapped and the descriptors open as long as this end lives.
  /// - Throws: `.ring` when the memory or the indices in it are not possible.
  public init(
    relid: UInt32, outgoing: MemorySlice, incoming: MemorySlice, acceptedTypes: PacketTypeSet,
    doorbell: any Doorbell, waitDescriptor: Int32, listener: (any DoorbellListener)? = nil,
    pageTable: GuestPageTable? = nil, owner: (any AnyObject & Sendable)? = nil
  ) throws(ChannelError) {
    do throws(RingError) {
      let out = try OutgoingRing(outgoing)
      let input = try IncomingRing(incoming)
      self.outgoing = out
      self.incoming = input
    } catch {
      throw .ring(error)
    }
    self.relid = relid
    self.acceptedTypes = acceptedTypes
    self.doorbell = doorbell
    self.waitDescriptor = waitDescriptor
    self.listener = listener
    self.pageTable = pageTable
    self.owner = owner
    counters = ChannelCounters()
    outBuffer = [UInt8](repeating: 0, count: Self.maximumPacketByteCount)
    inBuffer = [UInt8](repeating: 0, count: Self.maximumPacketByteCount)
  }

  /// The longest packet that the outgoing ring ever takes, trailer included.
  public var maximumOutgoingByteCount: Int { min(outgoing.maximumPacketByteCount, Self.maximumPacketByteCount) }

  /// Whether the channel was lost; nothing comes in or goes out any more.
  public var isLost: Bool { counters.lost.load(ordering: .acquiring) }

  // MARK: Writing

  /// Writes an in-band packet; false when the ring has no room now.
  ///
  /// - Throws: `.ring`, `.lost`.
  public func sendInBand(
    transactionID: UInt64, requestsCompletion: Bool, payload: RawSpan
  ) throws(ChannelError) -> Bool {
    try send(
      .inBand(
        payloadByteCount: payload.byteCount, transactionID: transactionID, isCompletionRequested: requestsCompletion),
      payload: payload)
  }

  /// Writes the completion of a request; false when the ring has no room now.
  ///
  /// - Throws: `.ring`, `.lost`.
  public func sendCompletion(transactionID: UInt64, payload: RawSpan) throws(ChannelError) -> Bool {
    try send(.completion(payloadByteCount: payload.byteCount, transactionID: transactionID), payload: payload)
  }

  /// Writes a GPA-direct packet with one range of guest memory; false when the ring has no room now.
  ///
  /// - Parameters:
  ///   - guestAddress: guest physical address of the first byte.
  ///   - byteCount: length of the range, above zero.
  /// - Throws: `.ring`, `.lost`; `.system` with EFAULT for memory that has no page numbers.
  public func sendGPADirect(
    transactionID: UInt64, guestAddress: UInt64, byteCount: Int, payload: RawSpan
  ) throws(ChannelError) -> Bool {
    let byteOffset = UInt32(truncatingIfNeeded: guestAddress & UInt64(pageByteCount - 1))
    let pageCount = GPADLRange.pageCount(byteCount: UInt32(byteCount), byteOffset: byteOffset)
    let header = GPADirect.headerByteCount(rangeCount: 1, pageCount: pageCount)
    let total = (header + payload.byteCount + 7) & ~7
    precondition(byteCount > 0 && total <= Self.maximumPacketByteCount)
    if isLost { throw .lost }
    let firstPage = guestAddress / UInt64(pageByteCount)
    var pages: ArraySlice<UInt64>?
    if let pageTable {
      guard let indices = pageTable.indices(first: firstPage, count: pageCount) else {
        throw .system(what: "memory without page numbers", .EFAULT)
      }
      pages = pageTable.pages[indices]
    }
    do throws(RingError) {
      return try outBuffer.withMutableBytes { buffer throws(RingError) in
        var packet = buffer._mutatingExtracting(0..<total)
        GPADirect.storeDescriptor(
          into: &packet, rangeCount: 1, pageCount: pageCount, payloadByteCount: payload.byteCount,
          transactionID: transactionID)
        let end: Int
        if let pages {
          end = GPADirect.storeRange(
            into: &packet, at: GPADirect.rangesOffset, byteCount: UInt32(byteCount), byteOffset: byteOffset,
            pages: pages)
        } else {
          end = GPADirect.storeContiguousRange(
            into: &packet, at: GPADirect.rangesOffset, byteCount: UInt32(byteCount), byteOffset: byteOffset,
            firstPage: firstPage)
        }
        packet.store(payload, at: end)
        packet.zero(from: end + payload.byteCount, count: total - end - payload.byteCount)
        return try outgoing.write(packet.bytes)
      }
    } catch {
      throw .ring(error)
    }
  }

  /// Writes a packet that is complete but for its trailer; false when the ring has no room now.
  ///
  /// - Parameter packet: descriptor, extra words and payload, padded to a multiple of 8; at most
  ///   `maximumOutgoingByteCount` minus the trailer.
  /// - Throws: `.ring`, `.lost`.
  public func send(packet: RawSpan) throws(ChannelError) -> Bool {
    if isLost { throw .lost }
    do throws(RingError) { return try outgoing.write(packet) } catch { throw .ring(error) }
  }

  /// Writes a packet of `descriptor` (without extra words) and `payload`; false when the ring has no room now.
  private func send(_ descriptor: PacketDescriptor, payload: RawSpan) throws(ChannelError) -> Bool {
    let total = descriptor.length
    precondition(total <= Self.maximumPacketByteCount)
    if isLost { throw .lost }
    do throws(RingError) {
      return try outBuffer.withMutableBytes { buffer throws(RingError) in
        var packet = buffer._mutatingExtracting(0..<total)
        descriptor.store(into: &packet)
        packet.store(payload, at: descriptor.payloadOffset)
        let end = descriptor.payloadOffset + payload.byteCount
        packet.zero(from: end, count: total - end)
        return try outgoing.write(packet.bytes)
      }
    } catch {
      throw .ring(error)
    }
  }

  /// Publishes what was written and read since the last call, and rings if the peer has to know.
  ///
  /// - Throws: `.ring`.
  public func flush() throws(ChannelError) {
    do throws(RingError) {
      let hasData = outgoing.publish()
      let hasSpace = try incoming.release()
      if hasData || hasSpace {
        if doorbell.wakesPeer { counters.doorbellsRung.add(1) }
        doorbell.ring()
      }
    } catch {
      throw .ring(error)
    }
  }

  /// After a write found no room: asks to be signalled when there is room for a packet of `byteCount` bytes. True when
  /// there is room already.
  ///
  /// - Throws: `.ring`.
  public func requestSpace(forPacketOf byteCount: Int) throws(ChannelError) -> Bool {
    do throws(RingError) { return try outgoing.requestSpace(forPacketOf: byteCount) } catch { throw .ring(error) }
  }

  /// Takes `requestSpace` back.
  public func cancelSpaceRequest() {
    outgoing.cancelSpaceRequest()
  }

  // MARK: Reading

  /// Hands the next packet to `body`; nil when there is none. The bytes are a private copy, valid during the call; the
  /// descriptor fits them and has an accepted type.
  ///
  /// - Throws: `.ring` or `.packet` for what the peer may not send; the channel must be closed then.
  public func receive<R>(_ body: (PacketDescriptor, RawSpan) -> R) throws(ChannelError) -> R? {
    try inBuffer.withMutableBytes { buffer throws(ChannelError) in
      let count: Int
      do throws(RingError) { count = try incoming.read(into: &buffer) } catch { throw .ring(error) }
      if count == 0 { return nil }
      counters.packetsReceived.add(1)
      let packet = buffer.bytes.extracting(first: count)
      let descriptor = PacketDescriptor(parsing: packet)
      do throws(PacketError) {
        try descriptor.validate(available: count + PacketTrailer.byteCount, types: acceptedTypes)
      } catch {
        throw .packet(error)
      }
      return body(descriptor, packet)
    }
  }

  /// Asks the peer for no signals, while this end looks by itself.
  public func maskInterrupts() {
    incoming.maskInterrupts()
  }

  /// Asks the peer for signals before this end sleeps. True when something is there already: do not sleep then.
  ///
  /// - Throws: `.ring`.
  public func unmaskInterrupts() throws(ChannelError) -> Bool {
    do throws(RingError) { return try incoming.unmaskInterrupts() } catch { throw .ring(error) }
  }

  /// Resets `waitDescriptor` after it was readable. Look into the ring afterwards.
  public func acknowledgeSignal() {
    listener?.acknowledge()
  }

  /// Lets a peer that runs on this thread do what it can do now. Costs nothing where the peer has a thread of its own.
  public func pollPeer() {
    listener?.poll()
  }
}
