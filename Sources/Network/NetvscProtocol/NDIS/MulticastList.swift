public import Ethernet
public import WireBytes

extension MACAddress {
  /// Parses the 6 bytes at the start of `bytes`.
  @inlinable
  public init(parsing bytes: RawSpan) throws(NetvscError) {
    try bytes.require(6)
    self.init(parsing: bytes, at: 0)
  }

  @inlinable
  init(parsing bytes: RawSpan, at offset: Int) {
    self.init(value: UInt64(bytes.be32(at: offset)) << 16 | UInt64(bytes.be16(at: offset + 4)))
  }

  /// Stores the 6 bytes at `offset`.
  @inlinable
  public func store(into target: inout MutableRawSpan, at offset: Int = 0) {
    target.storeBE(UInt32(truncatingIfNeeded: value >> 16), at: offset)
    target.storeBE(UInt16(truncatingIfNeeded: value), at: offset + 4)
  }
}

/// The groups of a guest (802_3_MULTICAST_LIST): addresses one after the other.
public enum MulticastList {
  /// The most addresses that are read.
  @inlinable public static var maximumCount: Int { 512 }

  /// Parses a list.
  public static func addresses(parsing bytes: RawSpan) throws(NetvscError) -> [MACAddress] {
    guard bytes.byteCount % 6 == 0, bytes.byteCount <= 6 * maximumCount else {
      throw .count(UInt32(clamping: bytes.byteCount))
    }
    return (0..<bytes.byteCount / 6).map { MACAddress(parsing: bytes, at: 6 * $0) }
  }

  /// Stores a list and returns its size in bytes.
  @discardableResult
  public static func store(_ addresses: [MACAddress], into target: inout MutableRawSpan, at start: Int = 0) -> Int {
    for (index, address) in addresses.enumerated() {
      address.store(into: &target, at: start + 6 * index)
    }
    return 6 * addresses.count
  }
}
