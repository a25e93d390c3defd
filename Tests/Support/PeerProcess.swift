public import LinuxIO

/// The helper process of tests, which stands beside the test bundle.
public enum PeerProcess {
  /// Starts `BusPeer` with these arguments; `extra` becomes descriptor 3.
  public static func start(_ arguments: [String], extra: Int32? = nil) throws(Errno) -> ProcessHandle {
    let own = CommandLine.arguments[0]
    let directory = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    // A test runner that is not the bundle itself names the bundle among its arguments.
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") }
    let base = bundle.map {
      $0.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    }
    return try ProcessHandle.start([(base ?? directory) + "/BusPeer"] + arguments, extra: extra)
  }
}
