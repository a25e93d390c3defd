public import VMBusProtocol
public import YAMLDocument

/// Takes the values of a mapping out by their keys, checks their types, and refuses what is left over.
public struct MappingReader {
  /// The file, for errors.
  public let file: String
  /// Line of the mapping.
  public let line: Int
  private let what: String
  private var entries: [YAMLNode.Entry]
  private var asked: [String] = []

  /// A reader of `node`.
  ///
  /// - Parameter what: what the mapping describes, for errors: "a disk".
  /// - Throws: when the value is no mapping.
  public init(_ node: YAMLNode, file: String, what: String) throws(ConfigurationError) {
    guard case .mapping(let entries) = node.value else {
      throw ConfigurationError(file: file, line: node.line, problem: "\(what) must be a mapping (key: value)")
    }
    self.file = file
    self.what = what
    line = node.line
    self.entries = entries
  }

  /// The value of `key`, if it is given.
  public mutating func node(_ key: String) -> YAMLNode? {
    asked.append(key)
    guard let index = entries.firstIndex(where: { $0.key == key }) else { return nil }
    return entries.remove(at: index).value
  }

  /// The value of `key`, which must be given.
  public mutating func requiredNode(_ key: String) throws(ConfigurationError) -> YAMLNode {
    guard let node = node(key) else {
      throw ConfigurationError(file: file, line: line, problem: "\(what) needs `\(key)`")
    }
    return node
  }

  /// The text of `key`, if it is given.
  public mutating func text(_ key: String) throws(ConfigurationError) -> String? {
    guard let node = node(key) else { return nil }
    guard case .scalar(let text, _) = node.value, !text.isEmpty else {
      throw fault(node, "`\(key)` must be a text")
    }
    return text
  }

  /// The text of `key`, one of `allowed`; `fallback` when it is not given.
  public mutating func choice<T>(
    _ key: String, _ allowed: [(String, T)], default fallback: T
  ) throws(ConfigurationError) -> T {
    guard let node = node(key) else { return fallback }
    if case .scalar(let text, _) = node.value, let found = allowed.first(where: { $0.0 == text }) { return found.1 }
    throw fault(node, "`\(key)` must be one of \(allowed.map(\.0).joined(separator: ", "))")
  }

  /// The number of `key`, in `range`; `fallback` when it is not given.
  public mutating func integer(
    _ key: String, in range: ClosedRange<Int>, default fallback: Int
  ) throws(ConfigurationError) -> Int {
    guard let node = node(key) else { return fallback }
    if case .scalar(let text, isQuoted: false) = node.value, let number = Int(text), range.contains(number) {
      return number
    }
    throw fault(node, "`\(key)` must be a number from \(range.lowerBound) to \(range.upperBound)")
  }

  /// The truth value of `key`; `fallback` when it is not given.
  public mutating func flag(_ key: String, default fallback: Bool) throws(ConfigurationError) -> Bool {
    guard let node = node(key) else { return fallback }
    switch node.value {
    case .scalar("true", isQuoted: false): return true
    case .scalar("false", isQuoted: false): return false
    default: throw fault(node, "`\(key)` must be true or false")
    }
  }

  /// The GUID of `key`, if it is given.
  public mutating func guid(_ key: String) throws(ConfigurationError) -> GUID? {
    guard let node = node(key) else { return nil }
    guard case .scalar(let text, _) = node.value, let guid = GUID(text) else {
      throw fault(node, "`\(key)` must be a GUID like 01234567-89ab-cdef-0123-456789abcdef")
    }
    return guid
  }

  /// The elements of the list of `key`; none when it is not given.
  public mutating func list(_ key: String) throws(ConfigurationError) -> [YAMLNode] {
    guard let node = node(key) else { return [] }
    guard case .sequence(let elements) = node.value else { throw fault(node, "`\(key)` must be a list (- ...)") }
    return elements
  }

  /// Refuses the keys that nobody has asked for.
  public func finish() throws(ConfigurationError) {
    guard let left = entries.first else { return }
    throw ConfigurationError(
      file: file, line: left.line,
      problem: "unknown key `\(left.key)` in \(what); allowed: \(asked.joined(separator: ", "))")
  }

  /// A mistake at `node`.
  public func fault(_ node: YAMLNode, _ problem: String) -> ConfigurationError {
    ConfigurationError(file: file, line: node.line, problem: problem)
  }
}
