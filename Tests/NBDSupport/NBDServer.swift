import LinuxIO

/// A program that serves NBD (nbdkit, qemu-nbd), for a test. It ends with this object.
public final class NBDServer {
  /// Why it does not serve.
  public struct Failure: Error, CustomStringConvertible {
    /// What it printed.
    public let description: String
  }

  /// Where it listens: a path, or a port of 127.0.0.1 in digits.
  public let place: String
  private let arguments: [String]
  private let log: String
  private var process: ProcessHandle?

  /// Starts the program and waits until it listens.
  ///
  /// - Parameters:
  ///   - arguments: the program and what it is told.
  ///   - place: the path of the socket, or the port in digits, which it is told, too.
  ///   - log: a file for what it prints.
  public init(_ arguments: [String], place: String, log: String) throws {
    self.arguments = arguments
    self.place = place
    self.log = log
    try start()
  }

  deinit { kill() }

  /// Number of the process; -1 when there is none.
  public var id: Int32 { process?.id ?? -1 }

  /// Starts it again.
  public func start() throws {
    if place.hasPrefix("/") { try? removeFile(place) }
    let output = try OwnedDescriptor.open(log, flags: 0o1101)
    let started = try ProcessHandle.start(
      ["/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + arguments, output: output.number, error: output.number)
    process = started
    for _ in 0..<1000 {
      if try isListening() { return }
      if started.hasEnded(waiting: 10) { break }
    }
    throw Failure(description: "\(arguments): \((try? readTextFile(log)) ?? "")")
  }

  /// The kernel's tables tell: a connection would be a client.
  private func isListening() throws -> Bool {
    if place.hasPrefix("/") {
      return try readTextFile("/proc/net/unix").split(separator: "\n").contains { line in
        line.hasSuffix(" " + place) && line.split(separator: " ").dropFirst(3).first == "00010000"
      }
    }
    let port = String(UInt16(place) ?? 0, radix: 16, uppercase: true)
    let local = ":" + String(repeating: "0", count: 4 - port.count) + port
    return try ["/proc/net/tcp", "/proc/net/tcp6"].contains { table in
      try readTextFile(table).split(separator: "\n").contains { line in
        let fields = line.split(separator: " ")
        return fields.count > 3 && fields[1].hasSuffix(local) && fields[3] == "0A"
      }
    }
  }

  /// Kills it without a warning; its socket stays.
  public func kill() {
    process?.send(signal: 9)
    _ = process?.exitCode()
    process = nil
  }

  /// Stops it where it is; it answers nothing from now on.
  public func freeze() { process?.send(signal: 19) }
}
