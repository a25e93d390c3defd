import Ethernet
import VMBusChannel
import VMBusProtocol

/// Which NIC of a bus is meant: its number, or its instance.
struct NICSelector {
  private let text: String?

  /// The selector that `text` names; nil means the only one there is.
  init(_ text: String?) {
    self.text = text
  }

  /// The NIC that fits.
  ///
  /// - Throws: `.notFound` with those that are there, `.usage` when several fit or the text names none.
  func choose(from devices: [any GuestDevice], what: String) throws(GatewayError) -> any GuestDevice {
    let nics = devices.filter { $0.offer.interfaceClass == .network }
    let list = nics.enumerated().map { "\($0.offset) (\($0.element.offer.instance))" }.joined(separator: ", ")
    let there = nics.isEmpty ? "it has none at all" : "it has: \(list)"
    guard let text else {
      guard let first = nics.first else {
        throw GatewayError(.notFound, what: what, why: "the bus has no NIC", advice: "add `networks` to the host")
      }
      guard nics.count == 1 else {
        throw GatewayError(.usage, what: what, why: "the bus has several NICs", advice: "choose by --nic: \(list)")
      }
      return first
    }
    if let index = Int(text) {
      guard nics.indices.contains(index) else {
        throw GatewayError(.notFound, what: what, why: "the bus has no NIC \(index)", advice: there)
      }
      return nics[index]
    }
    guard let instance = GUID(text) else {
      throw GatewayError(
        .usage, what: what, why: "`\(text)` names no NIC", advice: "write its number or its instance; \(there)")
    }
    guard let found = nics.first(where: { $0.offer.instance == instance }) else {
      throw GatewayError(.notFound, what: what, why: "the bus has no NIC \(instance)", advice: there)
    }
    return found
  }
}
