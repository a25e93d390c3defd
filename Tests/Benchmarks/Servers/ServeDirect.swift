import ArgumentParser
import DiskFS
import DiskImage
import LinuxIO

/// The control measurement that tells what VMBus costs: the same files over the same image, without a bus in between.
struct ServeDirect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve-direct",
    abstract: "Serve IMAGE as DIR/whole by DiskFS, straight over the image, until a signal or the end of the mount.")

  @Argument(help: "A disk image of any format, or a block device.")
  var image: String

  @Argument(help: "Directory to mount at.")
  var directory: String

  @Option(help: "buffered or direct: through the page cache or past it.")
  var cache = CacheMode.buffered

  @Option(help: "Threads; without it one per processor, at most 4.")
  var workers: Int?

  func run() throws {
    let signals = try SignalQueue(endSignals)
    var imageOptions = DiskImage.Options()
    imageOptions.cache = cache == .direct ? .direct : .buffered
    var options = DiskFSOptions()
    options.workerCount = workers ?? min(4, Machine.processorCount)
    let device = try DiskImage.open(image, options: imageOptions)
    let files = try DiskFS(device: device, mountPoint: directory, options: options)
    try files.start()
    // A thread of its own waits for the end, so that an idle server sleeps.
    let ended = try EventFD()
    let watcher = try WorkerThread(name: "watcher") {
      while !files.waitForEnd(milliseconds: 1 << 30) {}
      ended.signal()
    }
    _ = waitForInput([signals.descriptor, ended.descriptor], milliseconds: -1)
    files.stop()
    watcher.join()
    try device.close()
  }
}
