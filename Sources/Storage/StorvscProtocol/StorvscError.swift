/// Why a vstor packet cannot be parsed.
public enum StorvscError: Error, Equatable, BitwiseCopyable, Sendable {
  /// The packet ends before the layout does; the numbers are bytes from the start of the packet.
  case tooShort(byteCount: Int, needed: Int)
}

extension StorvscError: CustomStringConvertible {
  /// What is wrong.
  public var description: String {
    switch self {
    case .tooShort(let byteCount, let needed): "vstor packet of \(byteCount) bytes, needs \(needed)"
    }
  }
}

extension RawSpan {
  /// Checks that there are `needed` bytes from `offset` on.
  @inlinable
  func require(_ needed: Int, at offset: Int) throws(StorvscError) {
    guard offset >= 0, offset <= byteCount, needed <= byteCount - offset else {
      throw .tooShort(byteCount: byteCount, needed: offset + needed)
    }
  }
}
