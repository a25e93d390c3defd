import VMBusProtocol
import WireBytes

// A span of a global's bytes, or one inside an expectation, would outlive its owner: these take the owner.

extension ICHeader {
  init(_ bytes: [UInt8]) throws(ICError) { try self.init(parsing: bytes.rawSpan) }
}

extension ICNegotiate {
  init(_ bytes: [UInt8], _ header: ICHeader) throws(ICError) { try self.init(parsing: bytes.rawSpan, header: header) }
}

extension ICHeartbeat {
  init(_ bytes: [UInt8], _ header: ICHeader) throws(ICError) { try self.init(parsing: bytes.rawSpan, header: header) }
}

extension ICShutdown {
  init(_ bytes: [UInt8], _ header: ICHeader) throws(ICError) { try self.init(parsing: bytes.rawSpan, header: header) }
}

extension ICTimeSync {
  init(_ bytes: [UInt8], _ header: ICHeader) throws(ICError) { try self.init(parsing: bytes.rawSpan, header: header) }
}

extension MessageSlot {
  init?(_ bytes: [UInt8]) { self.init(parsing: bytes.rawSpan) }
}

extension PostMessageInput {
  init?(_ bytes: [UInt8]) { self.init(parsing: bytes.rawSpan) }
}

extension PipeHeader {
  init(_ bytes: [UInt8]) throws(PacketError) { try self.init(parsing: bytes.rawSpan) }
}

extension GUID {
  init(_ bytes: [UInt8], at offset: Int) { self.init(parsing: bytes.rawSpan, at: offset) }
}

extension ICKeyValue {
  init(_ bytes: [UInt8], _ header: ICHeader) throws(ICError) { try self.init(parsing: bytes.rawSpan, header: header) }
}
