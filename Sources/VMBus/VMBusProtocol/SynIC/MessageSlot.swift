import WireBytes

/// The type word of a message slot.
public struct SynICMessageType: RawRepresentable, Hashable, Sendable {
  /// The 32-bit word at offset 0 of the slot.
  public let rawValue: UInt32

  /// Takes any word.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The slot is empty.
  public static let none = SynICMessageType(rawValue: 0)
  /// A VMBus control message.
  public static let vmbus = SynICMessageType(rawValue: 1)
  /// A synthetic timer expired.
  public static let timerExpired = SynICMessageType(rawValue: 0x8000_0010)
}

/// One of the 16 slots of a message page, as copied out of it or to be copied into it.
///
/// The guest takes a message by copying the slot, storing type 0, and, after a full barrier, writing the
/// end-of-message register if the pending bit is then set. The host writes only a slot whose type is 0.
public struct MessageSlot: Hashable, Sendable {
  /// The kind of message.
  public var type: SynICMessageType
  /// Whether another message waits for this slot.
  public var isMessagePending: Bool
  /// The port or partition that sent it.
  public var sender: UInt64
  /// The message, at most 240 bytes.
  public var payload: [UInt8]

  /// The size of a slot, in bytes.
  public static let byteCount = 256
  /// Where the payload starts, in bytes.
  public static let payloadOffset = 16
  /// Where the flags byte stands; bit 0 says that a message is pending.
  public static let flagsOffset = 5

  /// A slot that holds `payload`.
  public init(payload: [UInt8], isMessagePending: Bool = false, sender: UInt64 = 0) {
    type = .vmbus
    self.isMessagePending = isMessagePending
    self.sender = sender
    self.payload = payload
  }

  /// Reads a copy of a slot; nil when it is not 256 bytes long or its payload size exceeds 240.
  public init?(parsing bytes: RawSpan) {
    guard bytes.byteCount == MessageSlot.byteCount else { return nil }
    let size = Int(bytes.byte(at: 4))
    guard size <= Message.maximumByteCount else { return nil }
    type = SynICMessageType(rawValue: bytes.le32(at: 0))
    isMessagePending = bytes.byte(at: MessageSlot.flagsOffset) & 1 != 0
    sender = bytes.le64(at: 8)
    payload = bytes.array(from: MessageSlot.payloadOffset, count: size)
  }

  /// The 256 bytes of the slot; traps when the payload exceeds 240 bytes.
  public func encoded() -> [UInt8] {
    precondition(payload.count <= Message.maximumByteCount)
    return [UInt8](zeroed: MessageSlot.byteCount) { bytes in
      bytes.storeLE(type.rawValue, at: 0)
      bytes.storeLE(UInt8(payload.count), at: 4)
      bytes.storeLE(UInt8(isMessagePending ? 1 : 0), at: MessageSlot.flagsOffset)
      bytes.storeLE(sender, at: 8)
      bytes.store(payload.rawSpan, at: MessageSlot.payloadOffset)
    }
  }
}
