import Ethernet
import NetvscProtocol
import SharedMemory
import VMBusChannel

/// What all channels of a guest go by. The primary channel changes it, the others take it up.
struct ChannelPlan: Sendable {
  /// The receive buffer, as it is divided.
  struct ReceiveBuffer: Sendable {
    let mapping: GPADLMapping
    /// The number by which packets name the buffer.
    let id: UInt16
    let section: NVSPReceiveSection
  }

  /// The send buffer.
  struct SendBuffer: Sendable {
    let mapping: GPADLMapping
    let sectionByteCount: Int
  }

  /// Sub-allocations for control messages, so that frames never block them.
  static let controlCount = 16
  /// Room in front of each frame: an RNDIS header with all that may stand behind it.
  static let headerByteCount = 256
  /// Room behind each frame, since some guests look past its end.
  static let tailByteCount = 36

  var version = NVSPVersion.v1
  var receive: ReceiveBuffer?
  var send: SendBuffer?
  /// Channels that the guest may have open, the primary one counted.
  var channelCount = 1
  /// The longest frame without a tag, with its Ethernet header, in bytes.
  var frameByteCount = 1514
  /// The most ranges of a packet to the guest.
  var maximumRangeCount = 375
  /// RNDIS is initialized and not halted.
  var isInitialized = false
  /// The guest wants some frames.
  var wantsFrames = false
  /// Long frames of TCP over IPv4 that go to the guest whole.
  var coalesces4 = false
  /// Long frames of TCP over IPv6 that go to the guest whole.
  var coalesces6 = false
  /// The hash types that the guest has chosen; nil without receive-side scaling.
  var hashTypes: RSSHashTypes?

  /// Whether frames go to the guest.
  var isReceiving: Bool { isInitialized && wantsFrames && receive != nil }

  /// Whether the guest wants one of the buffers back.
  var isRevoked: Bool { receive?.mapping.isRevoked == true || send?.mapping.isRevoked == true }

  /// The size of a sub-allocation, in bytes. Larger ones than needed save pieces of long frames where there is memory.
  static func subAllocationByteCount(frameByteCount: Int, bufferByteCount: Int) -> Int {
    let needed = (headerByteCount + frameByteCount + tailByteCount + 63) & ~63
    return bufferByteCount >= 4 << 20 ? max(needed, 4096) : needed
  }

  /// Whether the longest frame fits the part of each of `channelCount` channels, as far as the buffer is known.
  func holdsLongestFrames(channelCount: Int) -> Bool {
    guard let section = receive?.section else { return true }
    let capacity = Int(section.subAllocationByteCount) - Self.headerByteCount - Self.tailByteCount
    let share = (Int(section.subAllocationCount) - Self.controlCount) / channelCount
    return share * capacity >= ReceivePath.longestRoomByteCount
  }

  /// The sub-allocations of channel `index`, the control ones not counted.
  func partition(_ index: Int) -> Range<Int> {
    guard let receive else { return 0..<0 }
    let count = Int(receive.section.subAllocationCount) - Self.controlCount
    guard index < channelCount, count > 0 else { return 0..<0 }
    let share = count / channelCount
    let start = Self.controlCount + index * share
    // What does not divide evenly belongs to the last.
    return start..<(index == channelCount - 1 ? Self.controlCount + count : start + share)
  }
}
