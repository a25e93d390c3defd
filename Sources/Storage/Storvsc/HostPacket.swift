import StorvscProtocol
import VMBusChannel
import VMBusProtocol
import WireBytes

/// A packet of the host, parsed from a private copy: a plain value.
struct HostPacket: BitwiseCopyable {
  enum Kind: BitwiseCopyable {
    /// The answer to the request with this id.
    case completion
    /// An unsolicited notice that the set of disks changed.
    case busChanged
    /// A notice that means nothing to a guest.
    case ignored
    /// What no host should send.
    case fault
  }

  var kind: Kind
  var transactionID: UInt64
  var status = NTStatus.success
  var request: SCSIRequest?

  /// Parses any packet. Completions must have 64 bytes of payload whatever the version: that is the length of every
  /// request of ours, and the answer is as long as the request.
  init(_ descriptor: PacketDescriptor, _ packet: RawSpan) {
    transactionID = descriptor.transactionID
    kind = .fault
    let payload = packet.extracting(droppingFirst: descriptor.payloadOffset)
    if transactionID == 0 {
      // Linux refuses COMPLETE_IO and FCHBA_DATA with id 0, and ignores the rest.
      guard descriptor.type == .inBand, payload.byteCount >= 4 else { return }
      let operation = StorvscOperation(rawValue: payload.le32(at: 0))
      if operation == .enumerateBus || operation == .removeDevice {
        kind = .busChanged
      } else if operation != .completeIO && operation != .fcHBAData {
        kind = .ignored
      }
      return
    }
    guard descriptor.type == .completion, payload.byteCount >= StorvscPacket.byteCount,
      let header = try? StorvscPacket(parsing: payload), header.operation == .completeIO
    else { return }
    status = header.status
    request = try? SCSIRequest(parsing: payload, version: .v6_2)
    kind = .completion
  }
}
