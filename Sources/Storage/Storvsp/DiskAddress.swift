/// Where a disk hangs on a controller: target and LUN on path 0 (Linux scans two targets, Hyper-V has 64 LUNs).
public struct DiskAddress: Hashable, Sendable, CustomStringConvertible {
  /// The target, 0 or 1.
  public let target: UInt8
  /// The logical unit, 0 to 63.
  public let lun: UInt8

  /// The number of addresses of a controller.
  static let count = 128

  /// An address; nil when it is out of range.
  public init?(target: UInt8 = 0, lun: UInt8) {
    guard target < 2, lun < 64 else { return nil }
    self.target = target
    self.lun = lun
  }

  /// A number below `count`.
  var index: Int { Int(target) * 64 + Int(lun) }

  /// Target and LUN, for instance "0:5".
  public var description: String { "\(target):\(lun)" }
}
