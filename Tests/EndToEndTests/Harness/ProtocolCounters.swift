import Foundation
import Testing

/// What a namespace's kernel has counted.
struct ProtocolCounters {
  var received = 0
  var tcpErrors = 0
  var udpErrors = 0
  /// Datagrams that came but found no room in their socket.
  var udpBufferErrors = 0

  init(_ namespace: Namespace) throws {
    func value(_ lines: [[Substring]], _ proto: String, _ name: String) throws -> Int {
      let rows = lines.filter { $0.first == Substring(proto) }
      let column = try #require(rows.first?.firstIndex(of: Substring(name)))
      return try #require(Int(rows[1][column]))
    }
    let lines = try namespace.run("cat /proc/net/snmp").split(separator: "\n").map { $0.split(separator: " ") }
    received = try value(lines, "Ip:", "InDelivers")
    tcpErrors = try value(lines, "Tcp:", "InCsumErrors")
    udpErrors = try value(lines, "Udp:", "InCsumErrors")
    udpBufferErrors = try value(lines, "Udp:", "RcvbufErrors")
  }
}
