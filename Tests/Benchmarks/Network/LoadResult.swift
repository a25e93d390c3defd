import FoundationEssentials
import LinuxIO

/// What is read of iperf3's result.
struct IperfResult: Decodable {
  struct End: Decodable {
    var sum_sent: Sum
    var sum_received: Sum
  }

  struct Sum: Decodable {
    var seconds: Double
    var bytes: Double
    var bits_per_second: Double
    var packets: Double?
  }

  private struct Whole: Decodable {
    var end: End?
    var error: String?

    enum CodingKeys: String, CodingKey { case end, error }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      error = try values.decodeIfPresent(String.self, forKey: .error)
      // After an error the end is there, but empty.
      end = error == nil ? try values.decode(End.self, forKey: .end) : nil
    }
  }

  /// The result that a client wrote with -J.
  static func end(of file: String) throws -> End {
    let text = (try? readTextFile(file)) ?? ""
    guard let start = text.firstIndex(of: "{"),
      let whole = try? JSONDecoder().decode(Whole.self, from: Data(text[start...].utf8)), let end = whole.end
    else { throw BenchmarkError.failed("iperf3 has no result: \(text.suffix(200).filter { !$0.isNewline })") }
    return end
  }
}

/// The round trips of ping(8), in microseconds.
func roundTrips(of file: String) throws -> [Double] {
  let text = try readTextFile(file)
  return text.split(separator: "\n").compactMap { line in
    guard let begin = line.firstRange(of: "time=")?.upperBound else { return nil }
    return Double(line[begin...].prefix { $0 != " " }).map { $0 * 1000 }
  }
}
