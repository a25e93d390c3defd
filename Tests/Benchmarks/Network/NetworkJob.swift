import ArgumentParser

/// A load on a link.
enum NetworkJob: String, Codable, CaseIterable, ExpressibleByArgument {
  case tcp1 = "tcp-1"
  case tcp1Reverse = "tcp-1-reverse"
  case tcp4 = "tcp-4"
  case tcp4Reverse = "tcp-4-reverse"
  case datagrams = "udp-64"
  case datagramsReverse = "udp-64-reverse"
  case ping
  case idle

  var title: String {
    switch self {
    case .tcp1: "TCP, one stream, A to B"
    case .tcp1Reverse: "TCP, one stream, B to A"
    case .tcp4: "TCP, four streams, A to B"
    case .tcp4Reverse: "TCP, four streams, B to A"
    case .datagrams: "UDP, payload of 64 bytes, four senders, A to B"
    case .datagramsReverse: "UDP, payload of 64 bytes, four senders, B to A"
    case .ping: "ping, 1000 round trips, one each 2 ms (less is better)"
    case .idle: "3 s without a load, after 1 s of TCP"
    }
  }

  var isTCP: Bool { self == .tcp1 || self == .tcp1Reverse || self == .tcp4 || self == .tcp4Reverse }
  var isUDP: Bool { self == .datagrams || self == .datagramsReverse }
  /// Whether B sends.
  var isReverse: Bool { self == .tcp1Reverse || self == .tcp4Reverse || self == .datagramsReverse }
  /// Whether there are several streams.
  var isParallel: Bool { self != .tcp1 && self != .tcp1Reverse }

  /// The unit of its figure.
  var unit: String { isTCP ? "Gbit/s" : isUDP ? "kpps" : self == .ping ? "p50 us" : "cpu ms" }
  /// What costs are told for.
  var costUnit: String { isTCP ? "MB" : isUDP ? "packet" : "ping" }

  /// The arguments of an iperf3 client.
  func iperfArguments(seconds: Int) -> [String] {
    var arguments = ["-c", NetworkBed.serverAddress, "-t", "\(seconds)", "-J", "--connect-timeout", "5000"]
    if isUDP { arguments += ["-u", "-b", "0", "-l", "64"] }
    if isParallel { arguments += ["-P", "4"] }
    if isReverse { arguments.append("-R") }
    return arguments
  }
}
