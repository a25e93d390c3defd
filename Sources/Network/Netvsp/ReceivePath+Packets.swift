import Ethernet
import LinuxIO
import NetvscProtocol
import VMBusChannel
import VMBusProtocol
import WireBytes

extension ReceivePath {
  /// Sends the packet that was gathered; the ring is published by the channel's owner.
  mutating func flush() {
    _ = sendPacket()
  }

  /// Sends the packet that was gathered; false when the ring has no room for it now. The guest then tells when there is.
  mutating func sendPacket() -> Bool {
    guard let id = pool.gatheredID else { return true }
    let count = TransferPages.headerByteCount(rangeCount: rangeCount)
    let total = (count + messageByteCount + 7) & ~7
    let ranges = rangeCount
    let payload = messageByteCount
    let setID = bufferID
    do throws(ChannelError) {
      let channel = channel
      let isSent = try packet.withMutableBytes { bytes throws(ChannelError) in
        var whole = bytes._mutatingExtracting(0..<total)
        TransferPages.storeDescriptor(
          into: &whole, pageSetID: setID, rangeCount: ranges, payloadByteCount: payload,
          transactionID: id)
        var message = whole._mutatingExtracting(count..<total)
        message.zero(from: 0, count: total - count)
        NVSPRNDISPacket(.data).store(into: &message)
        if try channel.send(packet: whole.bytes) { return true }
        guard try channel.requestSpace(forPacketOf: total) else { return false }
        return try channel.send(packet: whole.bytes)
      }
      isStuck = !isSent
      guard isSent else { return false }
    } catch {
      fault = error
      isStuck = true
      return false
    }
    pool.lend()
    rangeCount = 0
    return true
  }

  /// Gives up what was gathered.
  mutating func abandonPacket() {
    counters.receiveDiscards.add(UInt64(rangeCount))
    pool.abandon()
    rangeCount = 0
    isStuck = false
  }
}

extension ToeplitzHash {
  /// The hash type that fits an untagged frame, with the function; nil for a frame that none of `types` fits.
  static func info(of frame: RawSpan, types: RSSHashTypes) -> RSSHashTypes? {
    guard let headers = FrameHeaders(parsing: frame) else { return nil }
    let transport: RSSHashTypes
    switch (headers.protocolNumber, headers.isIPv6) {
    case (FrameHeaders.tcp, false): transport = .tcp4
    case (FrameHeaders.tcp, true): transport = .tcp6
    case (FrameHeaders.udp, false): transport = .udp4
    case (FrameHeaders.udp, true): transport = .udp6
    default: transport = []
    }
    let network: RSSHashTypes = headers.isIPv6 ? .ip6 : .ip4
    if !transport.isEmpty, types.contains(transport), !headers.isFragment { return transport.union(.toeplitz) }
    return types.contains(network) ? network.union(.toeplitz) : nil
  }
}
