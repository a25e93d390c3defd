import ArgumentParser
import DiskImage
import LinuxIO

/// What opening an image costs, in a process that does nothing else.
struct OpenImage: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "open-image", abstract: "Open IMAGE, and print how long that took and what memory it needs.")

  @Argument(help: "A disk image of any format.")
  var image: String

  func run() throws {
    let before = ProcessUsage(of: [ownProcess()]).residentMiB
    let start = monotonicNanoseconds()
    let opened = try DiskImage.open(image)
    let milliseconds = Double(monotonicNanoseconds() - start) / 1e6
    let after = ProcessUsage(of: [ownProcess()]).residentMiB
    try opened.close()
    try printJSON(Opening(milliseconds: milliseconds, grownMiB: after - before))
  }
}
