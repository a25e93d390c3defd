public import Ethernet
import LinuxIO
public import NetlinkRoute

/// What a new TAP link is to be like.
public struct TapOptions: Hashable, Sendable {
  /// Its name, at most 15 bytes.
  public var name: String
  /// Its hardware address; nil: the kernel makes one up.
  public var address: MACAddress?
  /// The longest payload of a frame, in bytes; nil: 1500.
  public var mtu: Int?
  /// The most queues that can be used at the same time.
  public var queueCount: Int
  /// The network namespace where it appears, as `ip netns` names it, or a path; nil: that of the calling thread.
  public var namespace: String?
  /// How many packets may wait in front of a queue; nil: the kernel's default.
  public var transmitQueueLength: UInt32?
  /// A description for administrators, at most 255 bytes.
  public var alias: String?
  /// The addresses that it gets.
  public var addresses: [IPNetwork]
  /// The routes that lead over it.
  public var routes: [IPRoute]
  /// Whether the medium is connected as soon as a queue is there.
  public var hasCarrier: Bool
  /// Whether it is brought up.
  public var isUp: Bool
  /// The longest packet that the kernel leaves uncut, in bytes; nil: the kernel's default, 65536.
  public var maximumSegmentationByteCount: UInt32?

  /// A link of this name, up and connected, with one queue.
  public init(
    name: String, address: MACAddress? = nil, mtu: Int? = nil, queueCount: Int = 1, namespace: String? = nil,
    transmitQueueLength: UInt32? = nil, alias: String? = nil, addresses: [IPNetwork] = [], routes: [IPRoute] = [],
    hasCarrier: Bool = true, isUp: Bool = true, maximumSegmentationByteCount: UInt32? = nil
  ) {
    self.name = name
    self.address = address
    self.mtu = mtu
    self.queueCount = queueCount
    self.namespace = namespace
    self.transmitQueueLength = transmitQueueLength
    self.alias = alias
    self.addresses = addresses
    self.routes = routes
    self.hasCarrier = hasCarrier
    self.isUp = isUp
    self.maximumSegmentationByteCount = maximumSegmentationByteCount
  }

  /// The most queues that a TAP has.
  public static let maximumQueueCount = 256

  /// Throws what is wrong with the name.
  func checkName() throws(TapError) { try Self.check(name: name) }

  /// Throws what is wrong with `name` as that of a link.
  public static func check(name: String) throws(TapError) {
    if name.isEmpty { throw .invalidName(name, "it is empty") }
    if name.utf8.count > TapDevice.maximumNameByteCount {
      throw .invalidName(name, "it is longer than \(TapDevice.maximumNameByteCount) bytes")
    }
    let isPlain = name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && !"/:%".utf8.contains($0) }
    if !isPlain || name == "." || name == ".." {
      throw .invalidName(name, "spaces, slashes, colons and percent signs can't be part of it")
    }
  }
}
