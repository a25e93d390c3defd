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

  /// The disk that is meant.
  ///
  /// - Throws: `.notFound` with the disks that are there, `.usage` when several fit.
  func choose(from disks: [NamedDisk], source: String) throws(GatewayError) -> NamedDisk {
    let fitting = disks.filter { named in
      switch self {
      case .index(let index): named.name == "disk\(index)"
      case .lun(let target, let lun): Int(named.disk.target) == target && Int(named.disk.lun) == lun
      case .serial(let serial): named.disk.info.serial == serial
      }
    }
    let list = disks.map { "\($0.name) (lun=\($0.disk.target):\($0.disk.lun))" }.joined(separator: ", ")
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

/// A disk with the name that it has on this bus.
struct NamedDisk {
  var name: String
  var disk: StorvscDisk
}

/// The disks of the controllers, numbered in the order of controller, target and LUN.
func nameDisks(_ controllers: [StorvscController]) -> [NamedDisk] {
  controllers.flatMap(\.disks).enumerated().map { NamedDisk(name: "disk\($0.offset)", disk: $0.element) }
}
