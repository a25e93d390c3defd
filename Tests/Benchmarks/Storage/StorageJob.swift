/// A load that fio puts on a file.
struct StorageJob {
  /// Names it in the output.
  let name: String
  /// The same for people.
  let title: String
  /// fio's `rw`.
  let pattern: String
  /// Bytes per I/O.
  let blockByteCount: Int
  /// I/Os in flight per job.
  let depth: Int
  /// Jobs at the same time.
  var jobCount = 1
  /// Whether each of its writes goes into a block that has no room yet, in an image that is new for each run.
  var isFirstWrite = false

  /// Whether throughput is told in MiB/s instead of IOPS.
  var isSequential: Bool { blockByteCount >= 1 << 20 }
  /// Whether it changes the file.
  var writes: Bool { pattern.contains("write") }
  /// The unit of its figures.
  var unit: String { isSequential ? "MiB/s" : "IOPS" }

  /// All loads of the benchmark.
  static let all = [
    StorageJob(
      name: "randread-qd1", title: "4 KiB random read, depth 1", pattern: "randread", blockByteCount: 4096, depth: 1),
    StorageJob(
      name: "randwrite-qd1", title: "4 KiB random write, depth 1", pattern: "randwrite", blockByteCount: 4096, depth: 1),
    StorageJob(
      name: "randread-qd32x4", title: "4 KiB random read, 4 jobs of depth 32", pattern: "randread",
      blockByteCount: 4096,
      depth: 32, jobCount: 4),
    StorageJob(
      name: "randwrite-qd32x4", title: "4 KiB random write, 4 jobs of depth 32", pattern: "randwrite",
      blockByteCount: 4096, depth: 32, jobCount: 4),
    StorageJob(
      name: "read-1m", title: "1 MiB sequential read, depth 4", pattern: "read", blockByteCount: 1 << 20, depth: 4),
    StorageJob(
      name: "write-1m", title: "1 MiB sequential write, depth 4", pattern: "write", blockByteCount: 1 << 20, depth: 4),
  ]

  /// The loads on images with blocks: also the first write of a block.
  static let images =
    [1, 32].flatMap { depth in
      [
        StorageJob(
          name: "randread-qd\(depth)", title: "4 KiB random read, depth \(depth)", pattern: "randread",
          blockByteCount: 4096, depth: depth),
        StorageJob(
          name: "overwrite-qd\(depth)", title: "4 KiB random overwrite, depth \(depth)", pattern: "randwrite",
          blockByteCount: 4096, depth: depth),
        StorageJob(
          name: "first-qd\(depth)", title: "4 KiB first write of each block, depth \(depth)", pattern: "write:1020k",
          blockByteCount: 4096, depth: depth, isFirstWrite: true),
      ]
    } + [
      StorageJob(
        name: "read-1m", title: "1 MiB sequential read, depth 4", pattern: "read", blockByteCount: 1 << 20, depth: 4),
      StorageJob(
        name: "overwrite-1m", title: "1 MiB sequential overwrite, depth 4", pattern: "write", blockByteCount: 1 << 20,
        depth: 4),
      StorageJob(
        name: "first-1m", title: "1 MiB sequential first write, depth 4", pattern: "write", blockByteCount: 1 << 20,
        depth: 4, isFirstWrite: true),
    ]

  /// Length of the new image of a job of first writes: it has a block for each of them.
  func newImageByteCount(size: UInt64) -> UInt64 { isSequential ? size : 64 << 30 }

  /// fio's arguments.
  ///
  /// - Parameters:
  ///   - direct: whether fio opens the file past the page cache.
  ///   - output: the file for the result as JSON.
  func arguments(file: String, size: UInt64, seconds: Int, direct: Bool, output: String) -> [String] {
    // What was written once is not new any more; what is new counts when it is durable.
    let end = isFirstWrite ? ["--end_fsync=1"] : ["--time_based", "--norandommap"]
    return [
      "--name=\(name)", "--filename=\(file)", "--size=\(size)", "--rw=\(pattern)", "--bs=\(blockByteCount)",
      "--ioengine=libaio", "--iodepth=\(depth)", "--numjobs=\(jobCount)", "--direct=\(direct ? 1 : 0)",
      "--runtime=\(seconds)", "--randrepeat=0", "--invalidate=0",
      "--allow_file_create=0", "--group_reporting", "--lat_percentiles=1",
      "--output-format=json", "--output=\(output)",
    ] + end
  }
}
