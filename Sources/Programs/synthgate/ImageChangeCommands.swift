import ArgumentParser
import DiskImage
import Gateway
import ImageTools
import LinuxIO

struct ImageCreate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Make a new image.",
    discussion: """
      The format is told by --format, --for, or the end of the name (.vhd, .vhdx, .raw, .img), and is else VHDX. With \
      --parent the image holds what differs from another one of the same format, whose size it has unless --size tells \
      more. Azure takes fixed VHDs of whole MiB, to which --for azure rounds up.
      """)

  @Argument(help: "The new image.")
  var file: String

  @Option(help: "Capacity: 10G, 512M, ...; units are powers of 1024.")
  var size: ByteSize?

  @Option(help: "Format: auto, raw, vhd, vhdx.")
  var format = DiskImage.Format.automatic

  @Option(name: .customLong("for"), help: "What it is for: azure, hyperv.")
  var purpose: NewImage.Purpose?

  @Flag(inversion: .prefixedNo, help: "Take all storage at once.")
  var fixed: Bool?

  @Option(help: "The image on top of which it stands.")
  var parent: String?

  @Option(help: "Block size; VHD: 2M, VHDX: 1M to 256M.")
  var blockSize: ByteSize?

  @Option(help: "Logical sector size: 512, or for VHDX 4096.")
  var sectorSize: ByteSize?

  @Flag(help: "Replace an existing file.")
  var force = false

  func run() throws {
    var image = NewImage(path: file)
    image.format = format
    image.purpose = purpose
    image.isFixed = fixed
    image.parent = parent
    image.blockByteCount = blockSize?.byteCount
    image.sectorByteCount = sectorSize?.byteCount
    image.isReplacing = force
    var byteCount = size?.byteCount
    if let parent {
      let above = try inspectImage(parent, options: DiskImage.Options(), chain: false)[0]
      if image.format == .automatic, purpose == nil, let format = DiskImage.Format(rawValue: above.format) {
        image.format = format
      }
      byteCount = max(byteCount ?? 0, above.size)
      if let size, size.byteCount < above.size {
        throw ImageToolError(
          .usage, what: "create \(file)", why: "it would be shorter than its parent with \(above.size) bytes",
          advice: "leave --size away")
      }
    }
    guard let byteCount else {
      throw ImageToolError(.usage, what: "create \(file)", why: "its size is missing", advice: "add --size 10G")
    }
    let made = try image.make(byteCount, what: "create \(file)")
    print("\(file): \(formatByteCount(made)) (\(made) bytes), \(image.actualFormat.rawValue)")
    if image.actualFormat == .vhd, made % (1 << 20) != 0 {
      writeError("synthgate: create \(file): the size is no whole number of MiB, which Azure wants")
    }
  }
}

struct ImageConvert: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Copy an image into a new one, of the same or another format.",
    discussion: """
      Parents are copied into the new image, too. What is zero takes no storage. Several threads copy; interrupted, nothing \
      is left of the new image.
      """)

  @Argument(help: "The image to be read.")
  var from: String

  @Argument(help: "The new image.")
  var to: String

  @Option(help: "Format of the new image: auto, raw, vhd, vhdx.")
  var format = DiskImage.Format.automatic

  @Option(help: "Format of the image that is read: auto, raw, vhd, vhdx.")
  var fromFormat = DiskImage.Format.automatic

  @Option(name: .customLong("for"), help: "What the new image is for: azure, hyperv.")
  var purpose: NewImage.Purpose?

  @Flag(inversion: .prefixedNo, help: "A new image whose blocks all have their place from the start.")
  var fixed: Bool?

  @Option(help: "Block size of the new image.")
  var blockSize: ByteSize?

  @OptionGroup var parents: ParentOptions

  @Option(help: "Threads that copy.")
  var threads = 4

  @Flag(help: "Replace an existing file.")
  var force = false

  func validate() throws {
    if !(1...64).contains(threads) { throw ValidationError("--threads must be from 1 to 64") }
  }

  func run() throws {
    var image = NewImage(path: to)
    image.format = format
    image.purpose = purpose
    image.isFixed = fixed
    image.blockByteCount = blockSize?.byteCount
    image.isReplacing = force
    var conversion = Conversion(from: from, to: image)
    conversion.options = parents.options(fromFormat)
    conversion.threadCount = threads
    let progress = WorkProgress("convert \(from)")
    let summary: Conversion.Summary
    do {
      defer { progress.finish() }
      summary = try conversion.run(progress: progress.update)
    }
    print(
      "\(to): \(formatByteCount(summary.byteCount)) (\(summary.byteCount) bytes), \(image.actualFormat.rawValue), "
        + "\(formatByteCount(summary.copiedByteCount)) copied")
  }
}

struct ImageResize: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resize",
    abstract: "Give an image another capacity.",
    discussion: """
      Nobody may use the image, and it may have no children. Filesystems on it keep their size. A dynamic image is \
      shortened only if nothing behind the new end is in use; convert it otherwise.
      """)

  @Argument(help: "The image.")
  var file: String

  @Argument(help: "The new capacity: 20G, or +5G for that much more.")
  var size: String

  @Option(help: "Its format: auto, raw, vhd, vhdx.")
  var format = DiskImage.Format.automatic

  @Flag(help: "Allow it to become shorter, which loses what stands behind the new end.")
  var shrink = false

  func run() throws {
    let what = "resize \(file)"
    let isMore = size.hasPrefix("+")
    guard let number = ByteSize(isMore ? String(size.dropFirst()) : size) else {
      throw ImageToolError(.usage, what: what, why: "'\(size)' is no size", advice: "write 20G, or +5G")
    }
    let old = try inspectImage(file, format: format, what: what).size
    let new = isMore ? old + number.byteCount : number.byteCount
    try resizeImage(file, to: new, mayShrink: shrink, format: format)
    print("\(file): \(formatByteCount(old)) -> \(formatByteCount(new)) (\(new) bytes)")
  }
}

struct ImageMerge: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Write what a differencing image has into its parent.",
    discussion: """
      Nobody may use either of them, and no other child may stand above the parent: its contents change. The child is \
      removed afterwards unless --keep is given. Interrupted, the merge can be done again.
      """)

  @Argument(help: "The child.")
  var file: String

  @OptionGroup var parents: ParentOptions

  @Flag(help: "Keep the child; it can't be used above the parent any more.")
  var keep = false

  func run() throws {
    let progress = WorkProgress("merge \(file)")
    let parent: String
    do {
      defer { progress.finish() }
      parent = try mergeImage(
        file, options: parents.options(.automatic), isKept: keep, progress: progress.update)
    }
    print("\(file) is merged into \(parent)\(keep ? "" : " and removed")")
  }
}
