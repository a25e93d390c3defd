import FoundationEssentials
import LinuxIO

/// What is read of fio's result.
struct FioResult: Decodable {
  struct Direction: Decodable {
    var iops: Double
    var bw_bytes: Double
    var total_ios: Double
    var lat_ns: Latency
  }

  struct Latency: Decodable {
    var percentile: [String: Double]?
  }

  struct Job: Decodable {
    var error: Int
    var read: Direction
    var write: Direction
  }

  var jobs: [Job]

  /// The one job of a result with `group_reporting`.
  static func job(of file: String) throws -> Job {
    let text = try readTextFile(file)
    guard let start = text.firstIndex(of: "{"), let job = try decode(text[start...]).jobs.first else {
      throw BenchmarkError.failed("fio wrote no result: \(text.prefix(200))")
    }
    guard job.error == 0 else { throw BenchmarkError.failed("fio: I/O error \(job.error)") }
    return job
  }

  private static func decode(_ text: Substring) throws -> FioResult {
    try JSONDecoder().decode(FioResult.self, from: Data(text.utf8))
  }
}
