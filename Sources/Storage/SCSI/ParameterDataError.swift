/// Why parameter data of a peer are refused.
public enum ParameterDataError: Error, Equatable, BitwiseCopyable, Sendable {
  /// The data end before the layout does; the numbers are bytes.
  case tooShort(byteCount: Int, needed: Int)
  /// The field at this byte offset has a value that is impossible or not supported.
  case invalidField(offset: Int)

  /// What a target answers to an initiator that sent such data: 5/1A/00, or 5/26/00.
  public var senseData: SenseData {
    switch self {
    case .tooShort: .parameterListLengthError
    case .invalidField: .invalidFieldInParameterList
    }
  }
}

extension ParameterDataError: CustomStringConvertible {
  /// What is wrong, and where.
  public var description: String {
    switch self {
    case .tooShort(let byteCount, let needed): "parameter data of \(byteCount) bytes, need \(needed)"
    case .invalidField(let offset): "invalid field at byte \(offset) of the parameter data"
    }
  }
}

extension RawSpan {
  /// Checks that there are at least `needed` bytes.
  func require(_ needed: Int) throws(ParameterDataError) {
    guard byteCount >= needed else { throw .tooShort(byteCount: byteCount, needed: needed) }
  }
}
