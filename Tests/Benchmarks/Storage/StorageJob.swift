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
  let jobCount: Int

  /// Whether throughput is told in MiB/s instead of IOPS.
  var isSequential: Bool { blockByteCount >= 1 << 20 }
  /// Whether it changes the file.
  var writes: Bool { pattern.hasSuffix("write") }
  /// The unit of its figures.
  var unit: String { isSequential ? "MiB/s" : "IOPS" }

  /// All loads of the benchmark.
  static let all = [
    StorageJob(
      name: "randread-qd1", title: "4 KiB random read, depth 1", pattern: "randread", blockByteCount: 4096, depth: 1,
      jobCount: 1),
    StorageJob(
      name: "randwrite-qd1", title: "4 KiB random write, depth 1", pattern: "randwrite", blockByteCount: 4096, depth: 1,
      jobCount: 1),
    StorageJob(
      name: "randread-qd32x4", title: "4 KiB random read, 4 jobs of depth 32", pattern: "randread",
      blockByteCount: 4096,
      depth: 32, jobCount: 4),
    StorageJob(
      name: "randwrite-qd32x4", title: "4 KiB random write, 4 jobs of depth 32", pattern: "randwrite",
      blockByteCount: 4096, depth: 32, jobCount: 4),
    StorageJob(
      name: "read-1m", title: "1 MiB sequential read, depth 4", pattern: "read", blockByteCount: 1 << 20, depth: 4,
      jobCount: 1),
    StorageJob(
      name: "write-1m", title: "1 MiB sequential write, depth 4", pattern: "write", blockByteCount: 1 << 20, depth: 4,
      jobCount: 1),
  ]

  /// fio's arguments.
  ///
  /// - Parameters:
  ///   - direct: whether fio opens the file past the page cache.
  ///   - output: the file for the result as JSON.
  func arguments(file: String, size: UInt64, seconds: Int, direct: Bool, output: String) -> [String] {
    [
      "--name=\(name)", "--filename=\(file)", "--size=\(size)", "--rw=\(pattern)", "--bs=\(blockByteCount)",
      "--ioengine=libaio", "--iodepth=\(depth)", "--numjobs=\(jobCount)", "--direct=\(direct ? 1 : 0)",
      "--time_based", "--runtime=\(seconds)", "--norandommap", "--randrepeat=0", "--invalidate=0",
      "--allow_file_create=0", "--group_reporting", "--lat_percentiles=1",
      "--output-format=json", "--output=\(output)",
    ]
  }
}
