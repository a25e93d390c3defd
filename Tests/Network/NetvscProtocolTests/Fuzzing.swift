import Ethernet
import NetvscProtocol
import TestVectors
import Testing
import WireBytes

/// The first bytes of a zeroed buffer, as many as `body` says it stored; the rest must be untouched.
func encoded(_ body: (inout MutableRawSpan) -> Int) -> [UInt8] {
  var bytes = [UInt8](repeating: 0xa5, count: 1024)
  let count = bytes.withMutableBytes { body(&$0) }
  #expect(bytes[count...].allSatisfy { $0 == 0xa5 })
  return Array(bytes[..<count])
}

// A span inside an expectation would outlive its owner: these take the owner.

extension [UInt8] {
  func le16(at offset: Int) -> UInt16 { rawSpan.le16(at: offset) }
  func le32(at offset: Int) -> UInt32 { rawSpan.le32(at: offset) }
  func le64(at offset: Int) -> UInt64 { rawSpan.le64(at: offset) }
  func be16(at offset: Int) -> UInt16 { rawSpan.be16(at: offset) }
}

extension InternetChecksum {
  static func sum(_ bytes: [UInt8], _ range: Range<Int>) -> UInt16 { sum(bytes.rawSpan, range) }
}

extension FrameHeaders {
  init?(parsing frame: [UInt8]) { self.init(parsing: frame.rawSpan) }

  func pseudoHeaderSum(_ frame: [UInt8], protocolNumber: UInt8, layer4ByteCount: Int) -> UInt16 {
    pseudoHeaderSum(frame.rawSpan, protocolNumber: protocolNumber, layer4ByteCount: layer4ByteCount)
  }
}

extension ToeplitzHash {
  func hash(of frame: [UInt8], types: RSSHashTypes) -> (value: UInt32, info: RSSHashTypes)? {
    hash(of: frame.rawSpan, types: types)
  }
}

extension RNDISText {
  static func text(parsing bytes: [UInt8]) -> String { text(parsing: bytes.rawSpan) }
}

extension MulticastList {
  static func addresses(parsing bytes: [UInt8]) throws(NetvscError) -> [MACAddress] {
    try addresses(parsing: bytes.rawSpan)
  }
}

extension NDISLinkState {
  init(parsing bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
}

extension NDISLinkSpeed {
  init(parsing bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
}

extension MACAddress {
  init(parsing bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
}

extension NVSPIndirectionTable {
  init(parsing bytes: [UInt8], version: NVSPVersion = .v6_1) throws(NetvscError) {
    try self.init(parsing: bytes.rawSpan, version: version)
  }
}

extension PacketInformation {
  init(receiving offload: FrameOffload, headers: [UInt8], hashInfo: RSSHashTypes? = nil) {
    self.init(receiving: offload, headers: headers.rawSpan, hashInfo: hashInfo)
  }
}

extension NVSPRequest {
  init(_ bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
  func bytes(_ byteCount: Int = byteCount) -> [UInt8] { encoded { store(into: &$0, byteCount: byteCount) } }
}

extension NVSPCompletion {
  static func packetStatus(parsing bytes: [UInt8]) throws(NetvscError) -> NVSPStatus {
    try packetStatus(parsing: bytes.rawSpan)
  }
  init(_ bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
  func bytes(_ byteCount: Int = 40) -> [UInt8] { encoded { store(into: &$0, byteCount: byteCount) } }
}

extension RNDISMessage {
  init(_ bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
  func bytes(_ information: [UInt8] = []) -> [UInt8] { encoded { store(into: &$0, information: information.rawSpan) } }
}

extension RNDISPacket {
  init(_ bytes: [UInt8], available: Int? = nil) throws(NetvscError) {
    try self.init(parsing: bytes.rawSpan, available: available ?? bytes.count)
  }
}

extension PacketInformation {
  init(_ bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
  var bytes: [UInt8] { encoded { store(into: &$0, at: 0) } }
}

extension NDISOffload {
  init(_ bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
}

extension NDISOffloadParameters {
  init(_ bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
}

extension RSSCapabilities {
  init(_ bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
}

extension RSSParameters {
  init(_ bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
}

extension RNDISConfigurationParameter {
  init(_ bytes: [UInt8]) throws(NetvscError) { try self.init(parsing: bytes.rawSpan) }
}
