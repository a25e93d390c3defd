import Ethernet
import LinuxIO
import NetvscProtocol
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol
import WireBytes

/// RNDIS data that the guest has sent.
struct SentMessage: Sendable, Equatable {
  var channel: Int
  var id: UInt64
  /// The whole packet of the ring.
  var packet: [UInt8]
  /// What section and ranges hold.
  var bytes: [UInt8]
  var sectionByteCount: Int

  /// Header, per-packet information and frame.
  func parsed() throws -> (packet: RNDISPacket, information: PacketInformation, frame: [UInt8]) {
    let packet = try RNDISPacket(parsing: bytes.rawSpan, available: bytes.count)
    let information = try PacketInformation(parsing: bytes.rawSpan.extracting(packet.information))
    return (packet, information, Array(bytes[packet.data]))
  }
}

/// A transfer-pages packet that the host is to send.
struct Delivery: Sendable {
  var channel = 0
  /// What is put into one sub-allocation each, and how long its range says it is (nil: as long as it is).
  var ranges: [(bytes: [UInt8], stated: UInt32?)] = []
  /// Ranges as they are, without a sub-allocation.
  var rawRanges: [TransferPageRange] = []
  var setID: UInt16 = 0xcafe
  var type = NVSPRNDISPacket.ChannelType.data
  /// Instead of all that: a packet as it is.
  var packet: [UInt8]?
}

/// A tiny virtualization service provider whose every answer can be scripted. It survives the channels to it.
final class ScriptedHost: Sendable {
  struct State {
    var versions = NVSPVersion.newestFirst
    var refusal = NVSPStatus.none
    var receiveStatus = NVSPStatus.success
    var receiveSection: NVSPReceiveSection?
    var sendStatus = NVSPStatus.success
    var sectionByteCount: UInt32 = 6144
    var subAllocationByteCount: UInt32 = 1856
    var silentTypes: Set<UInt32> = []
    var silentOIDs: Set<OID> = []
    var refusedOIDs: Set<OID> = []
    var isReplyFirst = false
    var address = MACAddress("00:15:5d:0a:0b:0c")!
    var maximumFrame: UInt32?
    var offered = NDISOffload.full(coalesces: true)
    var media: UInt32 = 0
    var speed: UInt32 = 100_000_000
    var queueCount: UInt32 = 1
    var grantedSubChannels: UInt32?
    var offeredSubChannels = 0
    var confirmsTeardown = true
    var holdsCompletions = false
    var sendStatusOfFrames = NVSPStatus.success
    var mutateReply: (@Sendable ([UInt8]) -> [UInt8])?

    var epoch = 0
    var isDead = false
    var lastGPADL: UInt32 = 0xe1e0f
    var gpadls: [UInt32: MemorySlice] = [:]
    var version = NVSPVersion.v1
    var mtu: UInt32 = 1514
    var receive: MemorySlice?
    var send: MemorySlice?
    var filter: UInt32?
    var parameters: [[UInt8]] = []
    var scaling: [RSSParameters] = []
    /// What the guest did, in words.
    var log: [String] = []
    var raw: [[UInt8]] = []
    var sizes: [Int] = []
    var sent: [SentMessage] = []
    var deliveries: [Delivery] = []
    /// In-band packets to be sent: payload, id, whether a completion is asked for.
    var notices: [(payload: [UInt8], id: UInt64, asks: Bool)] = []
    var strays: [UInt64] = []
    /// Sub-allocations by packet on its way, and the answers to packets.
    var onTheirWay: [UInt64: [Int]] = [:]
    var answers: [UInt64: [UInt32]] = [:]
    var badAnswers = 0
    var freeSubAllocations: [Int] = []
    var nextID: UInt64 = 16
  }

  let state = Mutex(State())

  func set(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
  func get<R: Sendable>(_ body: (inout State) -> R) -> R { state.withLock { body(&$0) } }

  /// Puts frames into one packet.
  func deliver(
    _ messages: [[UInt8]], channel: Int = 0, type: NVSPRNDISPacket.ChannelType = .data
  ) {
    set { $0.deliveries.append(Delivery(channel: channel, ranges: messages.map { ($0, nil) }, type: type)) }
  }

  var sent: [SentMessage] { state.withLock { $0.sent } }
  var log: [String] { state.withLock { $0.log } }
}

/// The PACKET message of a frame as a host writes it: the frame at 256.
func receiveMessage(
  _ frame: [UInt8], _ information: PacketInformation = PacketInformation(), dataOffset: Int = 256
) -> [UInt8] {
  let packet = RNDISPacket(
    informationByteCount: information.byteCount, dataByteCount: frame.count, dataOffset: dataOffset)
  return [UInt8](zeroed: packet.byteCount) { bytes in
    packet.store(into: &bytes)
    information.store(into: &bytes)
    bytes.store(frame.rawSpan, at: dataOffset)
  }
}
