import NetvscProtocol
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

extension ChannelServer {
  /// An NVSP message of the guest, other than RNDIS.
  mutating func negotiate(_ descriptor: PacketDescriptor, _ payload: RawSpan) {
    guard let request = try? NVSPRequest(parsing: payload, version: negotiation.version) else {
      return fail(.protocolFault("NVSP message \(payload.le32(at: 0)) of \(payload.byteCount) bytes"))
    }
    let nic = session.nic
    let outcome = negotiation.handle(
      request, highest: nic.options.highestVersion, maximumQueueCount: nic.maximumQueueCount)
    let answer: NVSPCompletion
    switch outcome {
    case .fault(let text): return fail(.protocolFault(text))
    case .version(let status):
      let version = negotiation.version
      update { plan in
        plan = ChannelPlan()
        plan.version = version
      }
      answer = .initialize(status, for: version)
      // The size that was valid before.
      if descriptor.isCompletionRequested {
        self.answer(descriptor.transactionID, answer, byteCount: NVSPVersion.v1.hostMessageByteCount)
      }
      return
    case .accepted: answer = .empty
    case .queryOID: answer = .queryOID(.notSupported, byteCount: 0)
    case .receiveBuffer(let buffer): answer = divide(receive: buffer)
    case .sendBuffer(let buffer): answer = divide(send: buffer)
    case .receiveBufferRevoked:
      update { $0.receive = nil }
      answer = .empty
    case .sendBufferRevoked:
      update { $0.send = nil }
      answer = .empty
    case .subChannels(let count): answer = grant(count)
    }
    guard descriptor.isCompletionRequested else { return }
    self.answer(descriptor.transactionID, answer, byteCount: plan.version.hostMessageByteCount)
    if case .subChannels(.success, let count) = answer { session.guest.offerSubChannels(Int(count)) }
  }

  /// Maps the receive buffer and cuts it into sub-allocations.
  private mutating func divide(receive buffer: NVSPBuffer) -> NVSPCompletion {
    let frameByteCount = self.frameByteCount
    do throws(ChannelError) {
      let mapping = try session.guest.mapGPADL(buffer.gpadl)
      let byteCount = mapping.slice.byteCount
      let size = ChannelPlan.subAllocationByteCount(frameByteCount: frameByteCount, bufferByteCount: byteCount)
      // Buffers beyond what any guest has would not fit the words of the section either.
      let section = NVSPReceiveSection(
        bufferByteCount: UInt32(min(byteCount, 1 << 30)), subAllocationByteCount: UInt32(size))
      guard section.subAllocationCount > ChannelPlan.controlCount else {
        throw .protocolFault("a receive buffer of \(byteCount) bytes")
      }
      session.observe(mapping)
      let coalesces = coalescingIsPossible
      let ndis = negotiation.ndisVersion?.major ?? 5
      update { plan in
        plan.receive = ChannelPlan.ReceiveBuffer(mapping: mapping, id: buffer.id, section: section)
        plan.frameByteCount = frameByteCount
        plan.maximumRangeCount = ndis < 6 ? 64 : coalesces ? 562 : 375
      }
      return .receiveBuffer(.success, section)
    } catch {
      negotiation.forgetReceiveBuffer()
      return .receiveBuffer(.failure, nil)
    }
  }

  private mutating func divide(send buffer: NVSPBuffer) -> NVSPCompletion {
    let size = session.nic.options.sendSectionByteCount
    do throws(ChannelError) {
      let mapping = try session.guest.mapGPADL(buffer.gpadl)
      guard mapping.slice.byteCount >= size else { throw .protocolFault("a send buffer without a section") }
      session.observe(mapping)
      update { $0.send = ChannelPlan.SendBuffer(mapping: mapping, sectionByteCount: size) }
      return .sendBuffer(.success, sectionByteCount: UInt32(size))
    } catch {
      negotiation.forgetSendBuffer()
      return .sendBuffer(.failure, sectionByteCount: 0)
    }
  }

  private mutating func grant(_ count: Int?) -> NVSPCompletion {
    // The receive buffer is divided anew, which needs all of it but the part for control messages.
    guard let count, sink.isIdle, plan.receive != nil else { return .subChannels(.failure, count: 0) }
    negotiation.grantSubChannels(count)
    update { $0.channelCount = count + 1 }
    return .subChannels(.success, count: UInt32(count))
  }

  /// The longest frame without a tag: what the guest has configured, where it makes sense.
  var frameByteCount: Int {
    guard let told = negotiation.configuration?.frameByteCount, NVSPConfiguration.frameByteCounts.contains(told) else {
      return Int(NVSPConfiguration.frameByteCounts.lowerBound)
    }
    return min(Int(told), session.nic.options.maximumMTU + 14)
  }

  /// Whether the guest can be told of frames longer than its MTU: it says so, and there is always room for one.
  var coalescingIsPossible: Bool {
    session.nic.options.offersCoalescing && negotiation.version.hasReceiveCoalescing
      && negotiation.configuration?.capabilities.contains(.receiveCoalescing) == true
      && plan.holdsLongestFrames(channelCount: session.nic.maximumQueueCount)
  }
}
