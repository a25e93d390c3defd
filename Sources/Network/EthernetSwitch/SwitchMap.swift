import Ethernet
import WireBytes

/// Everything that the data path needs to know about the members of a switch, as it was at one moment. Threads keep the
/// map that they have until the switch has a newer one.
final class SwitchMap: Sendable {
  /// The number of the uplink; ports have greater ones.
  static let uplink: MemberID = 1
  /// Stands for no member.
  static let nobody: MemberID = 0
  /// One more than the greatest number of a port.
  static let memberLimit: MemberID = 1024

  let generation: UInt64
  let ports: [Port]
  /// Inboxes of threads that own a queue of the uplink.
  let uplinkInboxes: [FrameInbox]
  private let places: [Port?]

  init(generation: UInt64, ports: [Port], uplinkInboxes: [FrameInbox]) {
    self.generation = generation
    self.ports = ports
    self.uplinkInboxes = uplinkInboxes
    var places = [Port?](repeating: nil, count: Int(SwitchMap.memberLimit))
    for port in ports { places[Int(port.id)] = port }
    self.places = places
  }

  /// The port with this number; nil when it is gone, or for the uplink.
  func port(_ id: MemberID) -> Port? {
    id < SwitchMap.memberLimit ? places[Int(id)] : nil
  }

  /// One port, seen by those that send to it.
  final class Port: Sendable {
    let id: MemberID
    /// Nil while nobody has set one: all frames pass.
    let filter: EthernetFilter?
    let inboxes: [FrameInbox]
    private let choose: (@Sendable (_ headers: RawSpan) -> Int)?

    init(
      id: MemberID, filter: EthernetFilter?, inboxes: [FrameInbox],
      choose: (@Sendable (_ headers: RawSpan) -> Int)?
    ) {
      self.id = id
      self.filter = filter
      self.inboxes = inboxes
      self.choose = choose
    }

    func accepts(_ destination: MACAddress) -> Bool {
      filter?.accepts(destination) ?? true
    }

    /// The inbox for the frame that starts with these bytes; nil while the port has no queue.
    func inbox(for headers: RawSpan) -> FrameInbox? {
      switch inboxes.count {
      case 0: return nil
      case 1: return inboxes[0]
      case let count:
        let number = choose.map { UInt(bitPattern: $0(headers)) } ?? UInt(FlowHash.of(headers))
        return inboxes[Int(number % UInt(count))]
      }
    }
  }
}
