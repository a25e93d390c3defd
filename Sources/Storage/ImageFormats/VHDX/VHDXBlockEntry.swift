/// An entry of the block allocation table: the state of a block and where it stands in the file.
public struct VHDXBlockEntry: RawRepresentable, Hashable, Sendable {
  /// The 64 bits: 0 to 2 state, 3 to 19 reserved, 20 to 63 offset in MiB.
  public var rawValue: UInt64

  /// An entry of its bits.
  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// An entry.
  @inlinable
  public init(_ state: State, offset: UInt64 = 0) { rawValue = offset & ~0xf_ffff | state.rawValue }

  /// The state.
  @inlinable
  public var state: State { State(rawValue: rawValue & 7) }
  /// Where the block stands in the file, in bytes.
  @inlinable
  public var offset: UInt64 { rawValue & ~0xf_ffff }
  /// Whether bits are set that must not be.
  @inlinable
  public var hasReservedBits: Bool { rawValue & 0xf_fff8 != 0 }

  /// What is known of the contents of a block.
  public struct State: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number in the file.
    public var rawValue: UInt64
    /// A state of its number.
    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Not in this file: zeros, or what the parent has.
    public static let notPresent = State(rawValue: 0)
    /// Anything; read as zeros.
    public static let undefined = State(rawValue: 1)
    /// Zeros.
    public static let zero = State(rawValue: 2)
    /// Given back by the guest; read as zeros.
    public static let unmapped = State(rawValue: 3)
    /// All in this file; for a bitmap block: in this file.
    public static let fullyPresent = State(rawValue: 6)
    /// Some sectors are in this file, as the bitmap of the chunk tells, the others in the parent.
    public static let partiallyPresent = State(rawValue: 7)

    /// The name of the state.
    public var description: String {
      switch self {
      case .notPresent: "not present"
      case .undefined: "undefined"
      case .zero: "zero"
      case .unmapped: "unmapped"
      case .fullyPresent: "fully present"
      case .partiallyPresent: "partially present"
      default: "\(rawValue)"
      }
    }
  }
}

extension VHDXBlockEntry {
  /// What is wrong with the entry for itself, without a look at the file; nil when nothing is.
  ///
  /// - Parameter isBitmap: whether it is that of a bitmap block.
  @inlinable
  public func objection(isBitmap: Bool, hasParent: Bool) -> String? {
    if hasReservedBits { return "reserved bits are set" }
    switch state {
    case .notPresent: return nil
    case .undefined, .zero, .unmapped: return isBitmap ? "state \(state) of a bitmap" : nil
    case .fullyPresent:
      if isBitmap, !hasParent { return "a bitmap without a parent" }
    case .partiallyPresent:
      if isBitmap { return "state \(state) of a bitmap" }
      if !hasParent { return "partially present without a parent" }
    default: return "state \(state)"
    }
    return offset < VHDX.headerSectionByteCount ? "offset \(offset) lies in the header" : nil
  }
}
