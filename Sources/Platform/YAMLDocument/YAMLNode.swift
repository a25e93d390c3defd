/// A value of a YAML document, with the place where it stands.
public struct YAMLNode: Sendable {
  /// What the value is.
  public indirect enum Value: Sendable {
    /// A text as written, without its quotes; `isQuoted` tells whether it had any.
    case scalar(String, isQuoted: Bool)
    /// A list.
    case sequence([YAMLNode])
    /// Keys with their values, in the order of the file.
    case mapping([Entry])
  }

  /// A key with its value.
  public struct Entry: Sendable {
    /// The key.
    public let key: String
    /// Line of the key, from 1.
    public let line: Int
    /// The value.
    public let value: YAMLNode
  }

  /// What the value is.
  public let value: Value
  /// Line where it starts, from 1.
  public let line: Int
  /// Column where it starts, from 1.
  public let column: Int
}

/// Why a text is no YAML document of the kind that is wanted.
public struct YAMLError: Error, Sendable, CustomStringConvertible {
  /// Line, from 1.
  public let line: Int
  /// What is wrong.
  public let problem: String

  /// A problem at a line.
  public init(line: Int, problem: String) {
    self.line = line
    self.problem = problem
  }

  /// Line and problem.
  public var description: String { "line \(line): \(problem)" }
}
