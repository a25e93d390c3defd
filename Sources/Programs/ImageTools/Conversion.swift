import Block
public import DiskImage
import LinuxIO
import Synchronization

/// Copies an image into a new one of any format: in parallel, without what is zero, and as a whole or not at all.
public struct Conversion: Sendable {
  /// The image that is read.
  public var source: String
  /// How it is opened.
  public var options = DiskImage.Options()
  /// What is made.
  public var target: NewImage
  /// Threads that copy.
  public var threadCount = 4

  /// A conversion.
  public init(from source: String, to target: NewImage) {
    self.source = source
    self.target = target
  }

  /// What was copied.
  public struct Summary: Sendable {
    /// Capacity in bytes.
    public var byteCount: UInt64
    /// Bytes that are not zero, in whole pages.
    public var copiedByteCount: UInt64
  }

  /// Copies.
  ///
  /// - Parameter progress: told of bytes of the disk, several times a second; false ends the conversion early.
  /// - Throws: what went wrong; the new image is not there then.
  public func run(progress: (_ done: UInt64, _ total: UInt64) -> Bool) throws(ImageToolError) -> Summary {
    let what = "convert \(source)"
    var options = options
    options.isReadOnly = true
    let input = try explaining(what) { [source] () throws(DiskImageError) in
      try DiskImage.open(source, options: options)
    }
    defer { try? input.close() }
    let info = input.info
    var target = target
    let format = target.actualFormat
    if info.sectorByteCount == 4096 {
      if format == .vhd || target.sectorByteCount == 512 {
        throw ImageToolError(
          .usage, what: what, why: "its sectors have 4096 bytes, which what stands on the disk counts in",
          advice: "convert it to VHDX or raw")
      }
      if format == .vhdx { target.sectorByteCount = 4096 }
    }
    try target.checkPlace(what)
    // Made, filled and closed under another name.
    let path = target.path
    target.format = format
    target.path = path + ".part\(ownProcess())"
    let partial = target.path
    // A file of that name was left by a process of the same number that is gone.
    try? removeFile(partial)
    do throws(ImageToolError) {
      let size = try target.make(info.byteCount, what: what, isReserved: false)
      let copied = try copy(input, to: partial, format: format, what: what, progress: progress)
      try explaining(what, path: path) { () throws(DiskImageError) in
        do throws(Errno) { try renameFile(partial, to: path, replacing: target.isReplacing) } catch {
          throw .system(what: "create it", error)
        }
      }
      return Summary(byteCount: size, copiedByteCount: copied)
    } catch {
      try? removeFile(partial)
      throw error
    }
  }

  private func copy(
    _ input: any OpenedImage, to path: String, format: DiskImage.Format, what: String,
    progress: (UInt64, UInt64) -> Bool
  ) throws(ImageToolError) -> UInt64 {
    var options = DiskImage.Options()
    options.format = format
    let output = try explaining(what, path: path) { () throws(DiskImageError) in
      try DiskImage.open(path, options: options)
    }
    let job: CopyJob
    do throws(Errno) {
      job = try CopyJob(input, output)
    } catch {
      throw ImageToolError(.failed, what: what, why: "no thread can be started: \(error)")
    }
    var threads: [WorkerThread] = []
    do throws(Errno) {
      while threads.count < min(max(1, threadCount), input.maximumQueueCount) {
        threads.append(try WorkerThread(name: "convert \(threads.count)") { job.work() })
      }
    } catch {
      // Those that could be started do the work.
      if threads.isEmpty { job.stop(.noMemory, side: "starting a thread") }
    }
    while !job.hasEnded(threads.count) {
      _ = waitForInput([job.event.descriptor], milliseconds: 200)
      _ = job.event.drain()
      if !progress(job.doneByteCount, input.info.byteCount) { job.stop(.gone) }
    }
    for thread in threads { thread.join() }
    if let failure = job.failure {
      try? output.close()
      if failure.error == .gone, failure.side == nil {
        throw ImageToolError(.failed, what: what, why: "it was stopped", advice: "nothing is left of the new image")
      }
      throw ImageToolError(.failed, what: what, why: "\(failure.side ?? path): \(failure.error)")
    }
    do throws(BlockError) {
      let queue = try SerialQueue(output)
      defer { queue.close() }
      try queue.perform(.flush)
    } catch {
      throw ImageToolError(.failed, what: what, why: "\(path): \(error)")
    }
    try explaining(what, path: path) { () throws(DiskImageError) in try output.close() }
    _ = progress(input.info.byteCount, input.info.byteCount)
    return job.copiedByteCount
  }
}
