import NetvscProtocol
import SharedMemory

/// What a queue needs to know before frames may pass: the buffers, and what was agreed with the host.
struct QueueSetup {
  /// The receive buffer, which all queues share.
  var receiveBuffer: MemorySlice
  /// The most bytes of a range in it.
  var subAllocationByteCount: Int
  var subAllocationCount: Int
  /// The sections of the send buffer that are this queue's, one after the other.
  var sendSections: MemorySlice
  var sectionByteCount: Int
  /// The index of the first of them in the whole buffer.
  var firstSection: Int
  /// Buffers for what exceeds a section, one after the other.
  var overflow: MemorySlice
  var overflowAddress: UInt64
  /// What the host does for frames that are sent.
  var offloads: TransmitOffloads
  /// The MTU of the link in bytes, without the Ethernet header.
  var mtu: Int

  /// The length of an overflow buffer: with any section, room for the longest frame.
  static let overflowByteCount = 64 * 1024
  /// The smallest section that is of use: RNDIS header and the first bytes of a frame.
  static let minimumSectionByteCount = 512
}
