public import ArgumentParser
import DiskImage
import Gateway
public import ImageTools
import LinuxIO

extension ByteSize: ExpressibleByArgument {
  /// The size that an argument names.
  public init?(argument: String) { self.init(argument) }
}

extension NewImage.Purpose: ExpressibleByArgument {}

struct Image: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at disk images, and make, convert, resize, merge them: raw, VHD, VHDX.",
    discussion: """
      Examples:
        synthgate image create disk.vhdx --size 100G
        synthgate image create child.vhdx --parent base.vhdx
        synthgate image convert disk.vhdx disk.vhd --for azure
        synthgate image info child.vhdx --chain
        synthgate image check disk.vhd --repair
      """,
    subcommands: [
      ImageInfo.self, ImageCheck.self, ImageCreate.self, ImageConvert.self, ImageResize.self, ImageMerge.self,
    ])
}

/// How the parents of an image are found.
struct ParentOptions: ParsableArguments {
  @Option(
    name: .customLong("parents-in"),
    help: "A directory in which parents may stand, besides that of the image; may be given several times.")
  var directories: [String] = []

  @Option(
    name: .customLong("parent"),
    help: "The parents themselves, nearest first, wherever they stand: once for each.")
  var paths: [String] = []

  func options(_ format: DiskImage.Format) -> DiskImage.Options {
    var options = DiskImage.Options()
    options.format = format
    options.parentDirectories = directories.map(absolutePath)
    options.parentPaths = paths
    return options
  }
}

/// Shows how far a long work is, and ends it when the user wants that.
final class WorkProgress {
  private let isTerminal = isTerminalDescriptor(2)
  private let signals: SignalQueue?
  private let title: String
  private let start = monotonicNanoseconds()
  private var shown = false

  init(_ title: String) {
    self.title = title
    // Without them a signal ends the program at once, which leaves the new file under another name.
    signals = try? SignalQueue([1, 2, 15])
  }

  /// Answers whether the work is to go on.
  func update(_ done: UInt64, _ total: UInt64) -> Bool {
    let seconds = Double(monotonicNanoseconds() - start) / 1e9
    if isTerminal, seconds > 0.5, total > 0 {
      let part = Double(done) / Double(total)
      let width = 24
      let filled = Int(part * Double(width))
      let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
      let rate = formatByteCount(UInt64(Double(done) / seconds))
      try? writeAll(Array("\r\u{1b}[K\(title) [\(bar)] \(Int(part * 100))% \(rate)/s".utf8), to: 2)
      shown = true
    }
    return signals?.next() == nil
  }

  func finish() {
    if shown { try? writeAll(Array("\r\u{1b}[K".utf8), to: 2) }
  }
}
