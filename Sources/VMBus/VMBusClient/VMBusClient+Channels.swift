import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol
import VMBusRing

extension VMBusClient {
  // MARK: Memory

  func allocateMemory(byteCount: Int) throws(ChannelError) -> MemorySlice {
    guard let slice = allocator.withLock({ $0.allocate(byteCount: byteCount) }) else {
      throw .system(what: "allocating \(byteCount) bytes of guest memory", .ENOMEM)
    }
    return slice
  }

  func freeMemory(_ slice: MemorySlice) {
    allocator.withLock { $0.release(slice) }
  }

  // MARK: GPADLs

  func createGPADL(_ slice: MemorySlice, relid: UInt32, generation: Int) throws(ChannelError) -> UInt32 {
    guard let address = memory.guestAddress(of: slice), address % UInt64(pageByteCount) == 0, slice.byteCount > 0,
      slice.byteCount <= GPADLDescription.maximumPageCount * pageByteCount
    else {
      throw .refused(what: "a GPADL of \(slice.byteCount) bytes", status: MessageStatus.unspecifiedFailure.rawValue)
    }
    let first = address / UInt64(pageByteCount)
    let pageCount = UInt64((slice.byteCount + pageByteCount - 1) / pageByteCount)
    let range = GPADLRange(byteCount: UInt32(slice.byteCount), pages: Array(first..<(first + pageCount)))
    let created: UInt32? = state.withLock { state in
      guard state.isAlive, state.generation == generation, state.connection.channels[relid] != nil,
        let (gpadl, actions) = try? state.connection.createGPADL(relid: relid, ranges: [range])
      else { return nil }
      perform(actions, &state)
      return gpadl
    }
    guard let gpadl = created else { throw .lost }
    let status = waitFor(generation) { $0.gpadlResults.removeValue(forKey: gpadl) }
    switch status {
    case .answer(.success): return gpadl
    case .answer(let status): throw .refused(what: "GPADL_HEADER", status: status.rawValue)
    case .lost: throw .lost
    case .timedOut: throw .timedOut(what: "GPADL_HEADER")
    }
  }

  /// Whether the host has confirmed, or is gone, so that the memory may be used for something else. A rescinded channel
  /// that waited only for this is given back.
  func tearDown(_ gpadl: UInt32, relid: UInt32, generation: Int) -> Bool {
    let isConfirmed = tearDown(gpadl, generation: generation)
    state.withLock { state in
      guard state.isAlive, state.generation == generation, state.users[relid] == nil else { return }
      perform(state.connection.release(relid: relid), &state)
    }
    return isConfirmed
  }

  private func tearDown(_ gpadl: UInt32, generation: Int) -> Bool {
    let isPosted = state.withLock { state in
      guard state.isAlive, state.generation == generation else { return true }
      let actions = state.connection.tearDown(gpadl)
      perform(actions, &state)
      return !actions.isEmpty
    }
    guard isPosted else { return false }
    switch waitFor(generation, until: { $0.torndown.remove(gpadl) == nil ? nil : true }) {
    case .answer, .lost: return true
    case .timedOut: return false
    }
  }

  // MARK: Channels

  func awaitSubChannel(
    _ index: Int, of device: ClientDevice, milliseconds: Int
  ) throws(ChannelError) -> ChannelOffer {
    let outcome = waitFor(device.generation, milliseconds: milliseconds) { state -> ChannelOffer? in
      state.connection.channels.values.first {
        !$0.isRescinded && Int($0.offer.subChannelIndex) == index && $0.offer.instance == device.offer.instance
          && $0.offer.interfaceClass == device.offer.interfaceClass
      }?.offer
    }
    switch outcome {
    case .answer(let offer): return offer
    case .lost: throw .lost
    case .timedOut: throw .timedOut(what: "the offer of sub-channel \(index)")
    }
  }

  func open(
    _ offer: ChannelOffer, ringByteCount: Int, generation: Int
  ) throws(ChannelError) -> (Channel, ClientDevice.OpenChannel) {
    let relid = offer.relid
    let isFree = state.withLock { state in
      guard state.isAlive, state.generation == generation, state.users[relid] == nil,
        let channel = state.connection.channels[relid], !channel.isRescinded
      else { return false }
      state.users[relid] = User()
      return true
    }
    guard isFree else { throw .lost }
    do throws(ChannelError) {
      return try openUsed(offer, ringByteCount: ringByteCount, generation: generation)
    } catch {
      leave(relid, generation: generation)
      throw error
    }
  }

  private func openUsed(
    _ offer: ChannelOffer, ringByteCount: Int, generation: Int
  ) throws(ChannelError) -> (Channel, ClientDevice.OpenChannel) {
    let relid = offer.relid
    let half = max(2 * pageByteCount, (ringByteCount + pageByteCount - 1) & ~(pageByteCount - 1))
    let rings = try allocateMemory(byteCount: 2 * half)
    // The host may write as soon as it has seen the open: everything is ready before.
    OutgoingRing.initialize(rings.slice(at: 0, count: half))
    OutgoingRing.initialize(rings.dropFirst(half))
    let gpadl: UInt32
    do throws(ChannelError) {
      gpadl = try createGPADL(rings, relid: relid, generation: generation)
    } catch {
      // A host that did not answer may use the rings one day: then they stay allocated.
      if case .timedOut = error { throw error }
      freeMemory(rings)
      throw error
    }
    let record = ClientDevice.OpenChannel(relid: relid, gpadl: gpadl, rings: rings)
    do throws(ChannelError) {
      return (try open(offer, record, half: half, generation: generation), record)
    } catch {
      giveBack(record, generation: generation)
      throw error
    }
  }

  private func open(
    _ offer: ChannelOffer, _ record: ClientDevice.OpenChannel, half: Int, generation: Int
  ) throws(ChannelError) -> Channel {
    let relid = offer.relid
    state.withLock { state in
      guard state.isAlive, state.generation == generation else { return }
      state.openResults[relid] = nil
      perform(
        state.connection.open(
          relid: relid, ringGPADL: record.gpadl, downstreamPageOffset: UInt32(half / pageByteCount)), &state)
    }
    let outcome = waitFor(generation) { state -> MessageStatus? in
      if let status = state.openResults.removeValue(forKey: relid) { return status }
      // A rescind ends the wait: the host owes no answer to an open that crossed it.
      return state.connection.channels[relid]?.isRescinded == false ? nil : .unspecifiedFailure
    }
    switch outcome {
    case .answer(.success): break
    case .answer(let status): throw .refused(what: "OPEN_CHANNEL", status: status.rawValue)
    case .lost: throw .lost
    case .timedOut: throw .timedOut(what: "OPEN_CHANNEL")
    }
    let link = state.withLock { $0.link }
    guard let wiring = link?.takeWiring(relid: relid) else {
      throw .protocolFault("a channel was opened without doorbells")
    }
    let channel = try Channel(
      relid: relid, outgoing: record.rings.slice(at: 0, count: half), incoming: record.rings.dropFirst(half),
      acceptedTypes: .fromHost, doorbell: monitorDoorbell(offer) ?? wiring.doorbell,
      waitDescriptor: wiring.waitDescriptor, listener: wiring.listener)
    let user = User(counters: channel.counters, wake: wiring.wake)
    state.withLock { state in
      if state.isAlive, state.generation == generation, state.connection.channels[relid]?.isRescinded == false {
        state.users[relid] = user
      } else {
        lose(user)
      }
    }
    return channel
  }

  private func monitorDoorbell(_ offer: ChannelOffer) -> MonitorDoorbell? {
    guard let id = offer.monitor, monitorPages != .none,
      let page = memory.slice(at: monitorPages.childToParent, byteCount: pageByteCount)
    else { return nil }
    return MonitorDoorbell(
      pending: page.word32(at: MonitorPage.pendingOffset(of: id)), bit: Int(id) % MonitorPage.idsPerGroup)
  }

  func close(_ record: ClientDevice.OpenChannel, generation: Int) {
    giveBack(record, generation: generation)
    leave(record.relid, generation: generation)
  }

  /// Closes the channel, if it is open, and frees the rings as soon as the host has let go of them; else never.
  private func giveBack(_ record: ClientDevice.OpenChannel, generation: Int) {
    state.withLock { state in
      guard state.isAlive, state.generation == generation else { return }
      perform(state.connection.close(relid: record.relid), &state)
    }
    if tearDown(record.gpadl, generation: generation) { freeMemory(record.rings) }
  }

  /// The channel is not used any more; a rescinded one is given back.
  private func leave(_ relid: UInt32, generation: Int) {
    state.withLock { state in
      guard state.generation == generation else { return }
      state.users[relid] = nil
      perform(state.connection.release(relid: relid), &state)
    }
  }

  // MARK: Waiting

  enum Outcome<R: Sendable>: Sendable {
    case answer(R)
    case lost
    case timedOut
  }

  /// How long the host may take for an answer: a host that has let a whole such time pass, and has said nothing since, does
  /// not get another one for each of the many requests of an orderly end.
  var answerMilliseconds: Int {
    state.withLock { $0.isMute } ? min(100, settings.answerMilliseconds) : settings.answerMilliseconds
  }

  /// Waits until `body` answers something, the connection `generation` is gone, or the time is over.
  func waitFor<R: Sendable>(
    _ generation: Int, milliseconds: Int? = nil, until body: (inout State) -> R?
  ) -> Outcome<R> {
    let most = milliseconds ?? answerMilliseconds
    let outcome = state.wait(milliseconds: most) { state -> Outcome<R>? in
      guard state.isAlive, state.generation == generation, !state.isUnloaded else { return .lost }
      return body(&state).map { .answer($0) }
    }
    if outcome == nil, most >= settings.answerMilliseconds { state.withLock { $0.isMute = true } }
    return outcome ?? .timedOut
  }
}
