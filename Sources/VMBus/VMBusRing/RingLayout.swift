/// Layout of the control page in front of each ring's data (VMBus ring buffer; Linux `hv_ring_buffer`).
public enum RingLayout {
  /// Byte offset of the next packet to be written, in the data area; stored by the writer.
  public static let writeIndex = 0
  /// Byte offset of the next packet to be read; stored by the reader.
  public static let readIndex = 4
  /// Not zero while the reader wants no signal; stored by the reader.
  public static let interruptMask = 8
  /// Free bytes that a blocked writer waits for, zero when none waits; stored by the writer.
  public static let pendingSendSize = 12
  /// Bit 0: `pendingSendSize` is supported.
  public static let featureBits = 64
  /// Length of the control page, in bytes; the data follows.
  public static let controlByteCount = 4096
  /// Length of the trailer behind each packet: zero, and the index at which the packet starts.
  public static let trailerByteCount = 8
  /// Length of the descriptor in front of each packet.
  public static let descriptorByteCount = 16
}

/// What makes a ring unusable. All of it is the peer's fault.
public enum RingError: Error, Equatable, Sendable, CustomStringConvertible {
  /// An index of the peer is not a multiple of 8 below the size of the data area.
  case corruptIndex(UInt32)
  /// A packet whose length does not fit what is in the ring.
  case corruptLength(length8: UInt16, available: Int)
  /// A packet that is longer than any that this channel carries.
  case oversized(byteCount: Int, maximum: Int)
  /// The memory is no ring: not two pages at least, or not whole pages.
  case invalidMemory(byteCount: Int)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .corruptIndex(let index): "ring index \(index) is not a multiple of 8 inside the ring"
    case .corruptLength(let length8, let available):
      "packet length \(Int(length8) * 8) does not fit the \(available) bytes in the ring"
    case .oversized(let byteCount, let maximum): "packet of \(byteCount) bytes, longer than \(maximum)"
    case .invalidMemory(let byteCount): "\(byteCount) bytes of memory are no ring"
    }
  }
}
