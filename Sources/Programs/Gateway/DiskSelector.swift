import Block
import Storvsc

/// Which disk of a bus is meant.
enum DiskSelector: Equatable {
  /// The disk number `index` in the order of the bus: `disk0`.
  case index(Int)
  /// Target and LUN, on the only controller that has it: `lun=0:1`.
  case lun(target: Int, lun: Int)
  /// Serial number: `serial=TEXT`.
  case serial(String)

  /// The selector that `text` writes; nil when it is none.
  init?(_ text: String) {
    if text.hasPrefix("disk"), let index = Int(text.dropFirst(4)), index >= 0 {
      self = .index(index)
    } else if text.hasPrefix("lun=") {
      let fields = text.dropFirst(4).split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
      switch fields.count {
      case 1: if let lun = fields[0] { self = .lun(target: 0, lun: lun) } else { return nil }
      case 2:
        if let target = fields[0], let lun = fields[1] { self = .lun(target: target, lun: lun) } else { return nil }
      default: return nil
      }
    } else if text.hasPrefix("serial="), text.count > 7 {
      self = .serial(String(text.dropFirst(7)))
    } else {
      return nil
    }
  }

  /// The selector that `text` writes, and the number of a partition behind it: `disk0p1`.
  init?(splitting text: String) {
    guard let (selector, _) = Self.split(text) else { return nil }
    self = selector
  }

  /// The selector that `text` writes, and the number of the partition behind it, if there is one; nil when it is none.
  static func split(_ text: String) -> (selector: DiskSelector, partition: Int?)? {
    if let selector = DiskSelector(text) { return (selector, nil) }
    guard text.hasPrefix("disk"), let mark = text.lastIndex(of: "p"),
      let selector = DiskSelector(String(text[..<mark])),
      let partition = Int(text[text.index(after: mark)...]), partition > 0
    else { return nil }
    return (selector, partition)
  }

  /// The disk that is meant.
  ///
  /// - Throws: `.notFound` with the disks that are there, `.usage` when several fit.
  func choose<Disk: SelectableDisk>(from disks: [Disk], source: String) throws(GatewayError) -> Disk {
    let fitting = disks.filter { disk in
      switch self {
      case .index(let index): disk.name == "disk\(index)"
      case .lun(let target, let lun): disk.address == (target, lun)
      case .serial(let serial): disk.serial == serial
      }
    }
    let list = disks.map { "\($0.name) (lun=\($0.address.target):\($0.address.lun))" }.joined(separator: ", ")
    guard let found = fitting.first else {
      throw GatewayError(
        .notFound, what: "mount \(source)", why: "the bus has no such disk",
        advice: list.isEmpty ? "it has no disks at all" : "it has: \(list)")
    }
    guard fitting.count == 1 else {
      throw GatewayError(
        .usage, what: "mount \(source)", why: "several disks fit",
        advice: "name one of: \(fitting.map(\.name).joined(separator: ", "))")
    }
    return found
  }
}

/// A disk that a `DiskSelector` can choose.
protocol SelectableDisk {
  /// The name that it has on this bus: `disk0`.
  var name: String { get }
  /// Target and LUN on its controller.
  var address: (target: Int, lun: Int) { get }
  /// Serial number.
  var serial: String { get }
}

/// A disk with the name that it has on this bus.
struct NamedDisk: SelectableDisk {
  var name: String
  var disk: StorvscDisk

  var address: (target: Int, lun: Int) { (Int(disk.target), Int(disk.lun)) }
  var serial: String { disk.info.serial }
}

/// The disks of the controllers, numbered in the order of controller, target and LUN.
func nameDisks(_ controllers: [StorvscController]) -> [NamedDisk] {
  controllers.flatMap(\.disks).enumerated().map { NamedDisk(name: "disk\($0.offset)", disk: $0.element) }
}
