/// Why bytes are no control message.
public enum MessageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Fewer than the 8 bytes of the header.
  case noHeader(has: Int)
  /// Fewer bytes than the structure of the type, or than the form that its fields announce.
  case tooShort(type: MessageType, needs: Int, has: Int)
  /// More bytes than a SynIC message holds.
  case tooLong(has: Int)

  /// What is wrong, with the sizes in bytes.
  public var description: String {
    switch self {
    case .noHeader(let has): "a control message of \(has) bytes has no header"
    case .tooShort(let type, let needs, let has): "\(type) of \(has) bytes; it needs \(needs)"
    case .tooLong(let has): "a control message of \(has) bytes; at most \(Message.maximumByteCount) fit"
    }
  }
}
