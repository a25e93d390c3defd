import LinuxIO
import Ethernet
import NetvscProtocol
import SharedMemory
import VMBusChannel
import WireBytes

/// A frame that is being cut: the host does not segment it, or not at that length.
struct CutState {
  /// Where the frame is.
  var slot: Int
  var dataOffset: Int
  var headers: FrameHeaders
  /// The bytes up to the end of the TCP header.
  var headerByteCount: Int
  var segmentByteCount: Int
  /// The payload of a piece: one segment, or several where the host segments pieces.
  var pieceByteCount: Int
  /// The payload of the whole frame, and how much of it has been sent.
  var payloadByteCount: Int
  var done = 0
  var vlan: UInt16?
}

/// Pieces are frames of their own, in the same form; each takes a slot, and the rest waits until there is one.
extension NetvscQueue {
  private static let finAndPush: UInt8 = 0x09
  private static let congestionWindowReduced: UInt8 = 0x80

  /// Starts to cut the frame in `slot`; drops it if it cannot be cut.
  func beginCutting(_ slot: Int, dataOffset: Int, byteCount: Int, _ offload: FrameOffload) {
    let size: Int
    switch offload.segmentation {
    case .none: return drop(slot)
    case .tcp4(let segment, _), .tcp6(let segment, _): size = Int(segment)
    }
    let count = min(byteCount, Self.sendHeaderByteCount)
    let parsed = sendHeaders.withMutableBytes { bytes -> (FrameHeaders, Int)? in
      let span = bytes.bytes.extracting(first: count)
      guard let headers = FrameHeaders(parsing: span), !headers.isFragment,
        headers.protocolNumber == FrameHeaders.tcp,
        let end = FrameHeaders.endOfTCP(span, at: headers.layer4Offset)
      else { return nil }
      return (headers, end)
    }
    guard size > 0, let (headers, end) = parsed, end < byteCount else { return drop(slot) }
    counters.cutFrames.add(1)
    let offloads = setup!.offloads
    let limit = headers.isIPv6 ? offloads.largeSend6ByteCount : offloads.largeSend4ByteCount
    let segmentsInPiece = max(1, (limit - end) / size)
    cut = CutState(
      slot: slot, dataOffset: dataOffset, headers: headers, headerByteCount: end, segmentByteCount: size,
      pieceByteCount: segmentsInPiece * size, payloadByteCount: byteCount - end, vlan: offload.vlan)
    continueCutting()
  }

  /// Sends as many pieces of the frame that is being cut as there is room for.
  func continueCutting() {
    while let state = cut, fault == nil {
      let payload = min(state.pieceByteCount, state.payloadByteCount - state.done)
      let byteCount = state.headerByteCount + payload
      guard let slot = takeCuttingSlot(isLong: Self.roomOffset + byteCount > setup!.sectionByteCount) else { return }
      let isLast = state.done + payload == state.payloadByteCount
      let offload = makeHeaders(state, payloadByteCount: payload, isLast: isLast)
      let source = state.dataOffset + state.headerByteCount + state.done
      var copied = 0
      while copied < payload {
        let piece = memory(state.slot, from: source + copied)
        let count = min(piece.byteCount, payload - copied)
        copyIn(piece.slice(at: 0, count: count), slot, at: Self.roomOffset + state.headerByteCount + copied)
        copied += count
      }
      cut?.done += payload
      if isLast {
        cut = nil
        release(state.slot)
      }
      let plan = plan(offload, headerByteCount: state.headerByteCount, frameByteCount: byteCount)
      copyHeadersIn(state.headerByteCount, slot, at: Self.roomOffset)
      if case .segment = plan {
        // Never for pieces of that size; and never twice.
        drop(slot)
      } else {
        carryOut(plan, slot, dataOffset: Self.roomOffset, byteCount: byteCount, offload)
      }
    }
  }

  /// Puts the headers of the next piece into `sendHeaders`, in canonical form.
  private func makeHeaders(_ state: CutState, payloadByteCount: Int, isLast: Bool) -> FrameOffload {
    let headers = state.headers
    let tcp = headers.layer4Offset
    let byteCount = state.headerByteCount + payloadByteCount
    sendHeaders.withMutableBytes { bytes in
      // All offsets are those that were checked; a host that changes the bytes meanwhile gets what it deserves.
      var original = bytes._mutatingExtracting(first: state.headerByteCount)
      copyOut(state.slot, from: state.dataOffset, into: &original)
      if !headers.isIPv6 {
        let identification = bytes.bytes.be16(at: 18)
        let before = UInt16(truncatingIfNeeded: state.done / state.segmentByteCount)
        bytes.storeBE(identification &+ before, at: 18)
      }
      _ = headers.storeLength(frameByteCount: byteCount, into: &bytes)
      let sequence = bytes.bytes.be32(at: tcp + 4)
      bytes.storeBE(sequence &+ UInt32(truncatingIfNeeded: state.done), at: tcp + 4)
      var flags = bytes.bytes.byte(at: tcp + 13)
      if !isLast { flags &= ~Self.finAndPush }
      if state.done > 0 { flags &= ~Self.congestionWindowReduced }
      bytes.storeLE(flags, at: tcp + 13)
      let seed = headers.pseudoHeaderSum(
        bytes.bytes, protocolNumber: FrameHeaders.tcp, layer4ByteCount: byteCount - tcp)
      bytes.storeBE(seed, at: tcp + FrameHeaders.tcpChecksumOffset)
    }
    var offload = FrameOffload(
      checksum: .partial(start: UInt16(tcp), offset: UInt16(FrameHeaders.tcpChecksumOffset)), vlan: state.vlan)
    if payloadByteCount > state.segmentByteCount {
      let segment = UInt16(state.segmentByteCount)
      let end = UInt16(state.headerByteCount)
      offload.segmentation =
        headers.isIPv6
        ? .tcp6(segmentByteCount: segment, headerByteCount: end)
        : .tcp4(segmentByteCount: segment, headerByteCount: end)
    }
    return offload
  }
}
