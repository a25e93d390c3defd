import LinuxIO
import NBDConnection
import NBDSupport
import SharedMemory

/// A directory and what is needed to talk to servers in it; gone with this object.
final class Bench {
  let directory: String
  let memory: MemoryRegion

  init() throws {
    directory = "/tmp/synthgate-nbd.\(ownProcess()).\(monotonicNanoseconds())"
    try runProgram("/bin/mkdir", directory)
    memory = try MemoryRegion(anonymous: 1 << 20)
  }

  deinit { _ = try? runProgram("/bin/rm", "-rf", directory) }

  var socket: String { directory + "/socket" }
  var log: String { directory + "/log" }
  var endpoint: NBDEndpoint { NBDEndpoint(.unix(path: socket)) }

  func nbdkit(_ arguments: String...) throws -> NBDServer {
    try NBDServer(["nbdkit", "-f", "-U", socket] + arguments, place: socket, log: log)
  }

  func connect(_ endpoint: NBDEndpoint? = nil, milliseconds: Int = 10_000) throws(NBDError) -> Line {
    Line(try NBDConnection(to: endpoint ?? self.endpoint, depth: 16, milliseconds: milliseconds))
  }
}

/// Runs a program that must succeed.
func runProgram(_ arguments: String...) throws {
  let null = try OwnedDescriptor.open("/dev/null", flags: 2)
  let process = try ProcessHandle.start(arguments, input: null.number, output: null.number, error: null.number)
  let code = process.exitCode()
  if code != 0 { throw NBDServerFailure(code: code, arguments: arguments) }
}

struct NBDServerFailure: Error {
  let code: Int32
  let arguments: [String]
}

/// The error of `body`; nil when there is none.
func nbdError(_ body: () throws(NBDError) -> Void) -> NBDError? {
  do throws(NBDError) { try body() } catch { return error }
  return nil
}

/// A connection as an object, which expectations can look at.
final class Line {
  private var connection: NBDConnection
  let export: NBDExport

  init(_ connection: consuming NBDConnection) {
    export = connection.export
    self.connection = connection
  }

  var isAlive: Bool { connection.isAlive }
  var descriptor: Int32 { connection.descriptor }
  var direction: (input: Bool, output: Bool) { connection.direction }
  var problem: String { connection.problem }

  func submit(
    _ operation: NBDConnection.Operation, tag: Int, memory: MemorySlice? = nil, offset: UInt64, byteCount: UInt64,
    flags: NBDConnection.Flags = []
  ) throws(Errno) {
    try connection.submit(operation, tag: tag, memory: memory, offset: offset, byteCount: byteCount, flags: flags)
  }

  func wait(milliseconds: Int) { connection.wait(milliseconds: milliseconds) }
  func progress() { connection.progress() }
  func takeCompletion() -> NBDConnection.Completion? { connection.takeCompletion() }
  func disconnect(milliseconds: Int) { connection.disconnect(milliseconds: milliseconds) }

  /// Waits for the next completion, ten seconds at most.
  func awaitCompletion() -> NBDConnection.Completion? {
    let end = monotonicNanoseconds() + 10_000_000_000
    while monotonicNanoseconds() < end {
      if let completion = takeCompletion() { return completion }
      if isAlive { wait(milliseconds: 100) }
      progress()
    }
    return nil
  }
}
