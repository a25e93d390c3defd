public import Ethernet
public import WireBytes

extension ToeplitzHash {
  /// The hash of an untagged frame by the most specific of `types` that fits it, and that type with the function;
  /// nil for a frame that none fits. Fragments are hashed by addresses alone.
  @inlinable
  public func hash(of frame: RawSpan, types: RSSHashTypes) -> (value: UInt32, info: RSSHashTypes)? {
    guard let headers = FrameHeaders(parsing: frame) else { return nil }
    let transport: RSSHashTypes
    switch (headers.protocolNumber, headers.isIPv6) {
    case (FrameHeaders.tcp, false): transport = .tcp4
    case (FrameHeaders.tcp, true): transport = .tcp6
    case (FrameHeaders.udp, false): transport = .udp4
    case (FrameHeaders.udp, true): transport = .udp6
    default: transport = []
    }
    let offset = headers.layer4Offset
    var info: RSSHashTypes = headers.isIPv6 ? .ip6 : .ip4
    var ports: (source: UInt16, destination: UInt16)?
    if !transport.isEmpty, types.contains(transport), !headers.isFragment, offset + 4 <= frame.byteCount {
      info = transport
      ports = (frame.be16(at: offset), frame.be16(at: offset + 2))
    }
    guard types.contains(info) else { return nil }
    info.insert(.toeplitz)
    if headers.isIPv6 {
      let source = UInt128(frame.be64(at: 22)) << 64 | UInt128(frame.be64(at: 30))
      let destination = UInt128(frame.be64(at: 38)) << 64 | UInt128(frame.be64(at: 46))
      return (hash(source: source, destination: destination, ports: ports), info)
    }
    return (hash(source: frame.be32(at: 26), destination: frame.be32(at: 30), ports: ports), info)
  }
}
