import Ethernet
import VMBusProtocol

/// A command to a running host: a line of words.
enum HostCommand: Equatable, Sendable {
  case addDisk(controller: Device, target: Int, lun: Int, image: String, readOnly: Bool)
  case removeDisk(controller: Device, target: Int, lun: Int)
  case resizeDisk(controller: Device, target: Int, lun: Int, byteCount: UInt64)
  case addController(GUID, target: Int = 0, lun: Int = 0, image: String? = nil)
  case removeController(Device)
  case addNIC(Uplink, MACAddress?)
  case removeNIC(Device)
  case setCarrier(Device, isUp: Bool)
  case shutdown
  case restart
  case heartbeat
  case addresses
  case listPairs
  case getPair(String)
  case status

  /// How a controller or a NIC is named.
  enum Device: Equatable, Sendable {
    /// By its place, from 0.
    case index(Int)
    case instance(GUID)
    /// NICs only.
    case address(MACAddress)
  }

  /// Why a line is no command.
  struct Fault: Error, Equatable {
    let text: String
  }

  private static let forms = [
    "disk": "disk add CONTROLLER T:L IMAGE [readOnly] | disk remove CONTROLLER T:L | disk resize CONTROLLER T:L BYTES",
    "controller": "controller add GUID [T:L IMAGE] | controller remove CONTROLLER",
    "nic": "nic add UPLINK [MAC] | nic remove NIC | nic carrier NIC up|down",
    "kvp": "kvp addresses | kvp list | kvp get KEY",
    "shutdown": "shutdown", "restart": "restart", "heartbeat": "heartbeat", "status": "status",
  ]

  /// Reads a line.
  init(parsing line: String) throws(Fault) {
    guard let words = CommandWords.split(line) else { throw Fault(text: "a quote is not closed") }
    guard let first = words.first else { throw Fault(text: "there is no command in the line") }
    guard let form = Self.forms[first] else {
      let known = Self.forms.keys.sorted().joined(separator: ", ")
      throw Fault(text: "\(CommandWords.quote(first)) is no command; there are \(known)")
    }
    let usage = Fault(text: "usage: \(form)")
    let second = words.count > 1 ? words[1] : ""
    let rest = Array(words.dropFirst(2))
    switch first {
    case "disk": self = try Self.disk(second, rest, usage)
    case "controller":
      switch (second, rest.count) {
      case ("add", 1), ("add", 3):
        guard let id = GUID(rest[0]), id != .zero else { throw usage }
        guard rest.count == 3 else {
          self = .addController(id)
          break
        }
        let (target, lun) = try Self.diskAddress(rest[1])
        self = .addController(id, target: target, lun: lun, image: rest[2])
      case ("remove", 1): self = .removeController(try Self.controller(rest[0], usage))
      default: throw usage
      }
    case "nic": self = try Self.nic(second, rest, usage)
    case "kvp":
      switch (second, rest.count) {
      case ("addresses", 0): self = .addresses
      case ("list", 0): self = .listPairs
      case ("get", 1): self = .getPair(rest[0])
      default: throw usage
      }
    default:
      guard words.count == 1 else { throw usage }
      switch first {
      case "shutdown": self = .shutdown
      case "restart": self = .restart
      case "heartbeat": self = .heartbeat
      default: self = .status
      }
    }
  }

  private static func disk(_ verb: String, _ words: [String], _ usage: Fault) throws(Fault) -> HostCommand {
    guard words.count >= 2 else { throw usage }
    let controller = try controller(words[0], usage)
    let (target, lun) = try diskAddress(words[1])
    switch (verb, words.count) {
    case ("add", 3):
      return .addDisk(controller: controller, target: target, lun: lun, image: words[2], readOnly: false)
    case ("add", 4) where words[3] == "readOnly":
      return .addDisk(controller: controller, target: target, lun: lun, image: words[2], readOnly: true)
    case ("remove", 2): return .removeDisk(controller: controller, target: target, lun: lun)
    case ("resize", 3):
      guard let byteCount = number(words[2][...]) else { throw usage }
      return .resizeDisk(controller: controller, target: target, lun: lun, byteCount: UInt64(byteCount))
    default: throw usage
    }
  }

  private static func diskAddress(_ word: String) throws(Fault) -> (target: Int, lun: Int) {
    let parts = word.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let target = number(parts[0]), let lun = number(parts[1]), target <= 1, lun <= 63 else {
      throw Fault(text: "\(CommandWords.quote(word)) is no address of a disk: targets are 0 and 1, LUNs 0 to 63")
    }
    return (target, lun)
  }

  private static func nic(_ verb: String, _ words: [String], _ usage: Fault) throws(Fault) -> HostCommand {
    switch (verb, words.count) {
    case ("add", 1), ("add", 2):
      guard let uplink = Uplink(words[0]) else {
        throw Fault(text: "\(CommandWords.quote(words[0])) is no uplink; there are \(Uplink.forms)")
      }
      if let problem = uplink.problem { throw Fault(text: problem) }
      var address: MACAddress?
      if words.count == 2 {
        guard let given = MACAddress(words[1]), given.isUsable else {
          throw Fault(text: "\(CommandWords.quote(words[1])) is no address of one station, like 00:15:5d:00:00:01")
        }
        address = given
      }
      return .addNIC(uplink, address)
    case ("remove", 1): return .removeNIC(try nic(words[0], usage))
    case ("carrier", 2):
      guard words[1] == "up" || words[1] == "down" else { throw usage }
      return .setCarrier(try nic(words[0], usage), isUp: words[1] == "up")
    default: throw usage
    }
  }

  private static func controller(_ word: String, _ usage: Fault) throws(Fault) -> Device {
    if let index = number(word[...]) { return .index(index) }
    if let id = GUID(word) { return .instance(id) }
    throw usage
  }

  private static func nic(_ word: String, _ usage: Fault) throws(Fault) -> Device {
    if let index = number(word[...]) { return .index(index) }
    if let id = GUID(word) { return .instance(id) }
    if let address = MACAddress(word) { return .address(address) }
    throw usage
  }

  /// A decimal number without a sign.
  private static func number(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }
}
