import FoundationEssentials
import LinuxIO

/// One link as `synthgate links` shows it. Keys are only ever added.
public struct LinkReport: Codable, Sendable, Equatable {
  /// Name of the link.
  public var name: String
  /// Its network namespace; nil for that of the command.
  public var netns: String?
  /// Hardware address.
  public var mac: String
  /// Longest payload of a frame, in bytes.
  public var mtu: Int
  /// Whether the medium is connected.
  public var carrier: Bool
  /// Addresses with their prefix lengths.
  public var addresses: [String]
  /// Instance of the NIC on the bus.
  public var nic: String
  /// How many queues move frames now.
  public var queues: Int
  /// The bus that carries it.
  public var bus: String
  /// `up`, `down` (by the administrator), or `waiting for the host`.
  public var state: String
  /// Frames and bytes from the NIC to the link.
  public var receivedFrames: UInt64
  /// See `receivedFrames`.
  public var receivedBytes: UInt64
  /// Frames and bytes from the link to the NIC.
  public var sentFrames: UInt64
  /// See `sentFrames`.
  public var sentBytes: UInt64
  /// Frames that were dropped, either way.
  public var dropped: UInt64
  /// Doorbells rung towards the host.
  public var doorbells: UInt64
  /// The process that serves it.
  public var process: Int32
}

/// What state.json tells of one link.
struct LinkRecord: Codable {
  var name: String
  var netns: String?
  /// The bus that carries it.
  var bus: String?
  /// The process that serves it.
  var process: Int32
  /// When that process started: tells it from a later one with the same number.
  var processStart: UInt64
  /// The DHCP client of the link.
  var dhcpProcess: Int32?
  var dhcpProcessStart: UInt64?
  var devices: [DeviceReport]

  static func load(_ key: String, in runtime: RuntimeDirectory) -> LinkRecord? {
    readStateFile(LinkRecord.self, at: runtime.linkDirectory(key) + "/state.json")
  }

  func save(_ key: String, in runtime: RuntimeDirectory) throws(GatewayError) {
    try writeStateFile(self, to: runtime.linkDirectory(key) + "/state.json")
  }

  var isAlive: Bool { isProcessAlive(process, startedAt: processStart) }
}
