public import ArgumentParser
public import DiskImage
public import Gateway
import LinuxIO
public import SyntheticHost

extension BusChoice: ExpressibleByArgument {
  /// The choice that an argument names.
  public init?(argument: String) { self.init(argument) }
}

extension FilesystemDriver: ExpressibleByArgument {}
extension DiskCache: ExpressibleByArgument {}
extension DiskImage.Format: ExpressibleByArgument {}

struct Mount: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Mount the filesystem on a synthetic disk.",
    discussion: """
      SOURCE is the path of a disk image (raw, VHD, VHDX) or block device, or the URI of an NBD export \
      (nbd+unix:///EXPORT?socket=PATH, nbd://HOST/EXPORT), which an embedded host serves as long as it is mounted, or with \
      --bus socket:PATH the name of a disk that the host at PATH offers: disk0, disk0p1 (with its partition), lun=0:1 \
      (target:lun), serial=TEXT. In a guest of Hyper-V such a name means a disk of a controller that was attached.

      The raw disk and its partitions are files below /run/synthgate/disks/; the filesystem on them is mounted by the \
      kernel over a loop device, or by a user-space filesystem where the kernel can't. A process of its own serves the \
      mount until `synthgate umount DIR`.
      """)

  @Argument(help: "Disk image, block device, NBD URI, or name of a disk on the bus.")
  var source: String

  @Argument(help: "Directory to mount at.")
  var directory: String

  @Option(help: "The bus: auto, embedded, socket:PATH of a running host, or hyperv.")
  var bus: BusChoice = .automatic

  @Option(name: .short, help: "Mount options, separated by commas: ro, noatime, ...")
  var options: [String] = []

  @Option(help: "Number of the partition; without it the only one that has a filesystem.")
  var partition: Int?

  @Option(help: "auto, none (only the raw view of the disk), or a type like ext4.")
  var filesystem = "auto"

  @Option(help: "Who carries the filesystem: auto, kernel, userspace.")
  var driver: FilesystemDriver = .automatic

  @Option(
    help: "How the image is read and written: auto, buffered, direct (NBD: each write durable). (Embedded host only.)")
  var cache: DiskCache = .automatic

  @Option(help: "What the image is: auto, raw, vhd, vhdx. (Embedded host only.)")
  var format = DiskImage.Format.automatic

  @Option(
    name: .customLong("parents-in"),
    help: "A directory in which parents of the image may stand, besides its own; may be given several times.")
  var parentDirectories: [String] = []

  @Option(help: "Threads that serve the files; without it one per processor, at most 4.")
  var workers: Int?

  @Option(help: "Seconds for which I/O waits for a host, or an NBD server, that is gone.")
  var reconnect = 60

  @Flag(help: "Stay in the foreground until the mount ends.")
  var foreground = false

  @Flag(help: .hidden)
  var reportOnDescriptor3 = false

  func validate() throws {
    if let workers, !(1...64).contains(workers) { throw ValidationError("--workers must be from 1 to 64") }
    if !(0...86400).contains(reconnect) { throw ValidationError("--reconnect must be from 0 to 86400 seconds") }
    if let partition, partition < 1 { throw ValidationError("--partition counts from 1") }
    if filesystem.isEmpty { throw ValidationError("--filesystem must be auto, none or a type like ext4") }
  }

  func run() throws {
    let request = mountRequest
    if reportOnDescriptor3 {
      runReporting { report throws(GatewayError) in try MountProcess.run(request, report: report) }
    } else if foreground {
      try MountProcess.run(request) { report in
        if report == .ready { writeLine("\(request.source) is mounted at \(request.directory); Ctrl-C unmounts it") }
      }
    } else {
      let progress = ProgressLine()
      defer { progress.finish() }
      try DetachedProcess(arguments: detachedArguments, what: "mount \(request.source)").awaitReady {
        progress.show($0, seconds: $1)
      }
    }
  }

  private var mountRequest: MountRequest {
    let words = options.flatMap { $0.split(separator: ",").map(String.init) }
    // A name on another host's bus is no path of this machine.
    let bus = bus.forDisk(source)
    let isPath = bus == .embedded && !DiskImage.isRemote(source)
    var request = MountRequest(source: isPath ? absolutePath(source) : source, directory: absolutePath(directory))
    request.bus = bus
    request.readOnly = words.contains("ro")
    request.options = words
    request.partition = partition
    request.filesystem = filesystem == "auto" ? .automatic : filesystem == "none" ? .none : .type(filesystem)
    request.driver = driver
    request.cache = cache
    request.format = format
    request.parentDirectories = parentDirectories.map(absolutePath)
    request.workers = workers
    request.reconnectSeconds = reconnect
    return request
  }

  private var detachedArguments: [String] {
    let request = mountRequest
    var arguments = ["mount", "--report-on-descriptor3", "--bus", request.bus.text, "--filesystem", filesystem]
    arguments += ["--driver", driver.rawValue, "--cache", cache.rawValue, "--reconnect", "\(reconnect)"]
    if !request.options.isEmpty { arguments += ["-o", request.options.joined(separator: ",")] }
    arguments += ["--format", format.rawValue]
    for directory in request.parentDirectories { arguments += ["--parents-in", directory] }
    if let partition { arguments += ["--partition", "\(partition)"] }
    if let workers { arguments += ["--workers", "\(workers)"] }
    return arguments + ["--", request.source, request.directory]
  }
}

struct Umount: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Unmount what `synthgate mount` mounted, and end the process that serves it.")

  @Argument(help: "Directory of the mount.")
  var directory: String

  func run() throws {
    let progress = ProgressLine()
    defer { progress.finish() }
    try unmount(absolutePath(directory)) { progress.show($0, seconds: $1) }
  }
}
