/// A mistake in a configuration file: where it is, what is wrong, and what would be right.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
  /// The file as it was named.
  public let file: String
  /// Line, from 1; 0 when the file as a whole is meant.
  public let line: Int
  /// What is wrong, and what is allowed.
  public let problem: String

  /// A mistake.
  public init(file: String, line: Int, problem: String) {
    self.file = file
    self.line = line
    self.problem = problem
  }

  /// `FILE:LINE: PROBLEM`.
  public var description: String {
    line > 0 ? "\(file):\(line): \(problem)" : "\(file): \(problem)"
  }
}
