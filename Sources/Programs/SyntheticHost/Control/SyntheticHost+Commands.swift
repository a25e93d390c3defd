import Ethernet
import IntegrationServices
import LinuxIO
import VMBusProtocol

extension SyntheticHost {
  /// Carries out a command line and answers a line: `ok`, perhaps with more behind it, or `error WHY`. Neither has a line
  /// end. From any thread; it waits for the guest where the command needs its answer.
  ///
  /// Commands: `disk add CONTROLLER T:L IMAGE [readOnly]`, `disk remove CONTROLLER T:L`, `disk resize CONTROLLER T:L BYTES`,
  /// `controller add GUID [T:L IMAGE]`, `controller remove CONTROLLER`, `nic add UPLINK [MAC]`, `nic remove NIC`,
  /// `nic carrier NIC up|down`, `shutdown`, `restart`, `heartbeat`, `kvp addresses`, `kvp list`, `kvp get KEY`, `status`.
  /// CONTROLLER is a GUID or an index from 0, NIC a GUID, an index or a MAC address. Words with blanks stand in double
  /// quotes.
  public func perform(command line: String) -> String {
    do {
      let text = try perform(HostCommand(parsing: line))
      return text.isEmpty ? "ok" : "ok \(text)"
    } catch let fault as HostCommand.Fault {
      return Self.failure(fault.text)
    } catch {
      return Self.failure("\(error)")
    }
  }

  /// The answer to a command that failed: one line, whatever is in the text.
  static func failure(_ text: String) -> String {
    "error "
      + String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }))
  }

  private func perform(_ command: HostCommand) throws -> String {
    switch command {
    case .addDisk(let device, let target, let lun, let image, let readOnly):
      try addDisk(
        DiskConfiguration(target: target, lun: lun, image: image, readOnly: readOnly), to: try controller(device))
    case .removeDisk(let device, let target, let lun):
      try removeDisk(target: target, lun: lun, from: try controller(device))
    case .resizeDisk(let device, let target, let lun, let byteCount):
      try resizeDisk(target: target, lun: lun, of: try controller(device), byteCount: byteCount)
    case .addController(let id, let target, let lun, let image):
      // With its disk at once: a guest that had both before goes on where it was.
      let disks = image.map { [DiskConfiguration(target: target, lun: lun, image: $0)] } ?? []
      try addController(ControllerConfiguration(id: id, disks: disks))
    case .removeController(let device): try removeController(try controller(device))
    case .addNIC(let uplink, let address): return try addNIC(uplink, address)
    case .removeNIC(let device): try removeNetwork(try network(device))
    case .setCarrier(let device, let isUp): try setCarrier(isUp, of: try network(device))
    case .shutdown: try offered(services.shutdown, "shutdown").request(.shutdown)
    case .restart: try offered(services.shutdown, "shutdown").request(.restart)
    case .heartbeat: return try heartbeat()
    case .addresses: return try addresses()
    case .listPairs: return try listPairs()
    case .getPair(let key): return try pair(key)
    case .status: return status
    }
    return ""
  }

  // MARK: Devices

  private func controller(_ device: HostCommand.Device) throws -> GUID {
    switch device {
    case .instance(let id): return id
    case .index(let index):
      let all = currentControllers
      guard all.indices.contains(index) else { throw SyntheticHostError.absent("controller \(index)") }
      return all[index].id
    case .address: throw SyntheticHostError.absent("controller with a MAC address")
    }
  }

  private func network(_ device: HostCommand.Device) throws -> GUID {
    let all = currentNetworks
    switch device {
    case .instance(let id): return id
    case .index(let index):
      guard all.indices.contains(index) else { throw SyntheticHostError.absent("NIC \(index)") }
      return all[index].id
    case .address(let address):
      guard let found = all.first(where: { $0.mac == address }) else {
        throw SyntheticHostError.absent("NIC with the address \(address)")
      }
      return found.id
    }
  }

  private func addNIC(_ uplink: Uplink, _ address: MACAddress?) throws -> String {
    let all = currentNetworks
    // The first number whose id and address nobody has; each NIC has one id and one address.
    let number = (0...2 * all.count).first { number in
      !all.contains {
        $0.id == NetworkConfiguration.defaultID(number) || $0.mac == NetworkConfiguration.defaultAddress(number)
      }
    }
    let index = number ?? all.count
    let network = NetworkConfiguration(
      id: NetworkConfiguration.defaultID(index), mac: address ?? NetworkConfiguration.defaultAddress(index),
      uplink: uplink)
    try addNetwork(network)
    return "\(network.id) \(network.mac)"
  }

  // MARK: Services

  private func offered<Service>(_ service: Service?, _ name: String) throws -> Service {
    guard let service else { throw HostCommand.Fault(text: "the host does not offer the service \(name)") }
    return service
  }

  private func heartbeat() throws -> String {
    let service = try offered(services.heartbeat, "heartbeat")
    let status = service.status
    guard let age = status.ageMilliseconds else {
      switch service.phase {
      case .closed: throw ServiceError.notOpen
      case .negotiating: throw ServiceError.notReady
      case .refused: throw ServiceError.noCommonVersion
      case .ready: throw HostCommand.Fault(text: "the guest has not answered yet")
      }
    }
    let state =
      switch status.applicationState {
      case .healthy: "healthy"
      case .critical: "critical"
      case .stopped: "stopped"
      default: "unknown"
      }
    return "age=\(age)ms state=\(state) answers=\(status.answerCount) missed=\(status.missedCount)"
  }

  private func addresses() throws -> String {
    let service = try offered(services.keyValue, "kvp")
    var texts: [String] = []
    for network in currentNetworks {
      guard let found = try addresses(of: network.mac, service) else { continue }
      let all = [("address", found.addresses), ("gateway", found.gateways), ("nameserver", found.nameServers)]
        .flatMap { name, list in list.map { " \(name)=\(CommandWords.quote($0))" } }
      texts.append("nic=\(network.mac)" + all.joined() + " dhcp=\(found.isDHCPEnabled ? "yes" : "no")")
    }
    if texts.isEmpty {
      // Without a NIC of ours: what the guest tells of itself.
      for pair in try service.pairs(in: .auto) where pair.key.hasPrefix("NetworkAddress") {
        texts.append(Self.text(of: pair))
      }
    }
    return texts.joined(separator: " ")
  }

  /// What the guest tells of its adapter with this address; nil when it has none, or does not know.
  private func addresses(of address: MACAddress, _ service: KeyValueService) throws -> ICAdapterAddresses? {
    do {
      return try service.addresses(ofAdapter: "\(address)".uppercased())
    } catch ServiceError.refused {
      return nil
    }
  }

  private func listPairs() throws -> String {
    let service = try offered(services.keyValue, "kvp")
    var text = ""
    for (name, pool) in [("auto", ICKeyValue.Pool.auto), ("guest", .guest), ("external", .external)] {
      for pair in try service.pairs(in: pool) {
        let next = "\(name)/\(Self.text(of: pair)) "
        // An answer is a line that clients can take.
        if text.utf8.count + next.utf8.count > HostControl.maximumAnswerByteCount - 16 { return text + "..." }
        text += next
      }
    }
    return text.isEmpty ? text : String(text.dropLast())
  }

  private func pair(_ key: String) throws -> String {
    let service = try offered(services.keyValue, "kvp")
    for pool in [ICKeyValue.Pool.guest, .external] {
      if let value = try service.get(key, pool: pool) { return Self.text(of: value) }
    }
    // What the system tells of itself can only be enumerated.
    if let found = try service.pairs(in: .auto).first(where: { $0.key == key }) { return Self.text(of: found.value) }
    throw HostCommand.Fault(text: "the guest has no key \(CommandWords.quote(key))")
  }

  private static func text(of pair: ICKeyValuePair) -> String {
    "\(CommandWords.quote(pair.key))=\(text(of: pair.value))"
  }

  private static func text(of value: ICKeyValuePair.Value) -> String {
    switch value {
    case .text(let text), .expandableText(let text): CommandWords.alwaysQuote(text)
    case .number(let number): "\(number)"
    case .other(let type, let bytes): "type=\(type),bytes=\(bytes.count)"
    }
  }
}
