import Block
import DiskImage
import ImageTools
import LinuxIO
import SharedMemory
import Testing

/// A directory of its own, which is gone with this object.
final class ToolScratch {
  let directory: String

  init() throws {
    directory = try run("/bin/mktemp", "-d", "/tmp/synthgate-tools.XXXXXX").split(separator: "\n").joined()
  }

  deinit {
    _ = try? run("/bin/rm", "-rf", directory)
  }

  func path(_ name: String) -> String { "\(directory)/\(name)" }

  var names: [String] { directoryEntries(directory).sorted() }

  /// A new image.
  @discardableResult
  func create(
    _ name: String, _ byteCount: UInt64, _ change: (inout NewImage) -> Void = { _ in }
  ) throws -> String {
    var image = NewImage(path: path(name))
    change(&image)
    _ = try image.make(byteCount, what: "create \(name)")
    return image.path
  }

  /// Fills parts of an image.
  func write(_ path: String, _ parts: [(offset: UInt64, count: Int, value: UInt8)]) throws {
    let image = try DiskImage.open(path)
    let queue = try SerialQueue(image)
    let memory = try image.allocateMemory(byteCount: 1 << 20)
    for part in parts {
      memory.slice(at: 0, count: part.count).fill(part.value)
      try queue.perform(
        .write, offset: part.offset, byteCount: UInt64(part.count), memory: memory.slice(at: 0, count: part.count))
    }
    queue.close()
    try image.close()
  }

  /// Whether two images read the same; the longer one may have zeros more.
  func agree(_ first: (String, String), _ second: (String, String)) -> Bool {
    let formats = ["raw": "raw", "vhd": "vpc", "vhdx": "vhdx"]
    return
      (try? run(
        "/usr/bin/qemu-img", "compare", "-f", formats[first.1] ?? "raw", "-F", formats[second.1] ?? "raw", first.0,
        second.0)) != nil
  }
}

struct ProgramFailure: Error {
  let arguments: [String]
  let output: String
}

/// Runs a program and answers its output.
@discardableResult
func run(_ arguments: String...) throws -> String {
  let pipe = try LinePipe()
  let process = try ProcessHandle.start(arguments, output: pipe.writer.number, error: pipe.writer.number)
  var output: [UInt8] = []
  while waitForInput([pipe.reader.number, process.descriptor], milliseconds: 60_000) & 1 != 0 {
    output += try readAvailable(pipe.reader.number)
  }
  let text = String(decoding: output, as: UTF8.self)
  guard process.exitCode() == 0 else { throw ProgramFailure(arguments: arguments, output: text) }
  return text
}

/// The error of a command; nil when it succeeds.
func toolError(_ body: () throws -> Void) -> ImageToolError? {
  do { try body() } catch { return error as? ImageToolError }
  return nil
}
