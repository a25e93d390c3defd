import TestVectors
import VMBusProtocol
import WireBytes

/// The golden vectors: bytes of one message, packet or service payload each.
enum Golden {}

/// Parses a message, or fails with its error.
func parse(_ bytes: [UInt8]) throws(MessageError) -> Message {
  try Message(parsing: bytes.rawSpan)
}
