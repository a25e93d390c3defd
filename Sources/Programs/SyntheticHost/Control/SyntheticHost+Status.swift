import IntegrationServices
import VMBusProtocol
import VMBusServer

extension SyntheticHost {
  /// What the host offers and who uses it, in one line: words like `controller=...`, each followed by those of its parts.
  var status: String {
    var words = ["guests=\(server.guestCount)"]
    for (index, controller) in currentControllers.enumerated() {
      words.append("controller=\(index) id=\(controller.id)")
      for disk in controller.disks {
        let facts = controllers.facts(target: disk.target, lun: disk.lun, of: controller.id)
        words.append(
          "disk=\(disk.target):\(disk.lun) image=\(CommandWords.quote(disk.image)) bytes=\(facts?.byteCount ?? 0)"
            + " readOnly=\(disk.readOnly ? "yes" : "no") users=\(facts?.guests ?? 0)")
      }
    }
    for (index, entry) in networks.configurations.enumerated() {
      words.append(
        "nic=\(index) id=\(entry.network.id) mac=\(entry.network.mac)"
          + " uplink=\(CommandWords.quote(entry.network.uplink.description))"
          + " carrier=\(entry.isConnected ? "up" : "down") open=\(entry.isOpen ? "yes" : "no")")
    }
    if let service = services.shutdown { words.append(Self.text(service)) }
    if let service = services.heartbeat { words.append(Self.text(service)) }
    if let service = services.timeSync { words.append(Self.text(service)) }
    if let service = services.keyValue { words.append(Self.text(service)) }
    return words.joined(separator: " ")
  }

  private static func text<State>(_ service: IntegrationService<State>) -> String {
    let phase =
      switch service.phase {
      case .closed: "closed"
      case .negotiating: "negotiating"
      case .ready(let version): "\(version)"
      case .refused: "refused"
      }
    return "service=\(service.profile.name) version=\(phase)"
  }
}
