import ArgumentParser
import DiskImage
import Gateway
import ImageFormats
import ImageTools

struct ImageInfo: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Tell what an image is.",
    discussion: "The image may be in use. --json prints an array of objects; keys are only ever added.")

  @Argument(help: "The image.")
  var file: String

  @Option(help: "Its format: auto, raw, vhd, vhdx.")
  var format = DiskImage.Format.automatic

  @Flag(help: "Its parents, too; one that is not found is an error.")
  var chain = false

  @OptionGroup var parents: ParentOptions

  @Flag(help: "Everything that the headers say, too; --json has it always.")
  var headers = false

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let reports = try inspectImage(file, options: parents.options(format), chain: chain)
    if json { return try printJSON(reports) }
    for (index, report) in reports.enumerated() {
      if index > 0 { print("") }
      for (name, value) in Self.lines(report) {
        print(name + ":" + String(repeating: " ", count: 14 - name.count) + printableText(value))
      }
      guard headers else { continue }
      let width = report.headers.map(\.name.count).max() ?? 0
      for header in report.headers {
        print(
          "  " + header.name + String(repeating: " ", count: width + 2 - header.name.count)
            + printableText(header.value))
      }
    }
  }

  private static func lines(_ report: ImageReport) -> [(String, String)] {
    func bytes(_ count: UInt64) -> String { "\(formatByteCount(count)) (\(count) bytes)" }
    var lines = [("image", report.path)]
    lines.append(
      ("format", report.kind == report.format ? report.format : "\(report.format), \(report.kind)"))
    lines.append(("size", bytes(report.size)))
    if let features = report.features {
      lines.append(("server", features.joined(separator: ", ")))
    } else {
      lines.append(("file", "\(bytes(report.fileSize)), \(formatByteCount(report.stored)) stored"))
    }
    lines.append(("sectors", "\(report.sectorSize) bytes, physical \(report.physicalSectorSize)"))
    if let size = report.blockSize {
      let used = report.allocatedBlocks.map { "\($0) of " } ?? ""
      lines.append(("blocks", "\(formatByteCount(size)), \(used)\(report.blocks ?? 0) allocated"))
    }
    if let identity = report.identity { lines.append(("identity", identity)) }
    if let linkage = report.linkage, linkage != report.identity { lines.append(("known as", linkage)) }
    if !report.creator.isEmpty { lines.append(("creator", report.creator)) }
    if let parent = report.parent {
      for path in parent.paths { lines.append(("parent", "\(path.path) (\(path.field))")) }
      lines.append(("parent id", parent.identity))
    }
    for warning in report.warnings {
      let place = warning.offset.map { " (at byte \($0))" } ?? ""
      lines.append(("warning", "\(warning.text)\(place) [\(warning.code)]"))
    }
    return lines
  }
}

struct ImageCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Look at a whole image for damage.",
    discussion: """
      Exit code 0: nothing is wrong; 1: something is, or was not repaired. --repair repairs what needs no guess: a footer \
      that has a copy, a log that waits, room that belongs to no block. --json prints an array of objects; keys are only \
      ever added.
      """)

  @Argument(help: "The image.")
  var file: String

  @Option(help: "Its format: auto, raw, vhd, vhdx.")
  var format = DiskImage.Format.automatic

  @Flag(help: "Repair what is safe to repair.")
  var repair = false

  @OptionGroup var parents: ParentOptions

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let findings = try checkImage(file, options: parents.options(format), isRepairing: repair)
    let left = findings.count { !$0.isRepaired }
    if json {
      try printJSON(findings)
    } else if !findings.isEmpty {
      var table = Table(["FINDING", "OFFSET", "STATE", "WHAT"])
      for finding in findings {
        table.append([
          finding.code, finding.offset.map(String.init) ?? "", finding.isRepaired ? "repaired" : "found", finding.text,
        ])
      }
      printTable(table, orElse: "")
    } else {
      print("\(file): nothing is wrong")
    }
    if left > 0 {
      throw ImageToolError(
        .failed, what: "check \(file)", why: left == 1 ? "there is a finding" : "there are \(left) findings",
        advice: repair ? "" : "try --repair, or convert it as far as it can be read")
    }
  }
}
