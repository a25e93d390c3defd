public import Block
import LinuxIO
public import SharedMemory
import Synchronization
import SCSI

/// A disk behind a SCSI controller of the bus.
///
/// Its queues take requests of any alignment: sectors that a write covers only partly are read, changed and written back
/// while no other write of the disk is in flight.
public final class StorvscDisk: BlockDevice {
  /// The controller; it ends the reference by `close`.
  public let controller: StorvscController
  /// The SCSI target.
  public let target: UInt8
  /// The logical unit.
  public let lun: UInt8
  /// Vendor, product and revision as the disk gives them.
  public let vendor: String
  /// See `vendor`.
  public let product: String
  /// See `vendor`.
  public let revision: String

  let gate: WriteGate
  /// Counts the changes of the profile.
  let version = Atomic<UInt32>(0)
  private let gone = Atomic<Bool>(false)
  private let claimed = Atomic<Bool>(false)
  private let profile: Mutex<DiskProfile>

  init(_ profile: DiskProfile, controller: StorvscController, target: UInt8, lun: UInt8) {
    self.controller = controller
    self.target = target
    self.lun = lun
    vendor = profile.vendor
    product = profile.product
    revision = profile.revision
    gate = WriteGate(wakes: controller.ports.map(\.wake))
    self.profile = Mutex(profile)
  }

  /// What the disk is now.
  public var info: BlockDeviceInfo { profile.withLock { $0.info } }

  /// Whether the host has taken the disk away, or another one stands in its place.
  public var isGone: Bool { gone.load(ordering: .acquiring) }

  /// Whether this controller has reserved the disk by `claim`.
  public var isClaimed: Bool { claimed.load(ordering: .acquiring) }

  /// The channels of the controller, which all its disks share: a queue has a channel for itself.
  public var maximumQueueCount: Int { controller.ports.count }

  /// Memory that the host can reach; it is given back when the controller closes.
  public func allocateMemory(byteCount: Int) throws(BlockError) -> MemorySlice {
    try controller.allocateMemory(byteCount: byteCount)
  }

  /// A new queue on a channel of its own.
  ///
  /// - Throws: `.busy` when every channel of the controller has a queue; `.gone`, `.noMemory`.
  public func makeQueue(depth: Int) throws(BlockError) -> any BlockQueue {
    if isGone { throw .gone }
    return try controller.makeQueue(for: self, depth: depth)
  }

  /// Reserves the disk for this controller (RESERVE(6)).
  ///
  /// - Throws: `.reserved` when another initiator has it; any other error of a command.
  public func claim() throws(BlockError) {
    try controller.command(.reserve6, for: self)
    claimed.store(true, ordering: .releasing)
  }

  /// Ends the reservation of `claim`.
  public func release() throws(BlockError) {
    claimed.store(false, ordering: .releasing)
    try controller.command(.release6, for: self)
  }

  // MARK: Changes

  var geometry: DiskGeometry { profile.withLock { $0.geometry } }
  var designator: [UInt8] { profile.withLock { $0.designator } }

  func change(_ body: (inout DiskGeometry) -> Void) {
    profile.withLock {
      body(&$0.geometry)
      $0.applyGeometry()
    }
    version.wrappingAdd(1, ordering: .releasing)
  }

  /// Takes over what was found again at the address; answers whether the size changed.
  func replaceProfile(_ new: DiskProfile) -> Bool {
    let changed = profile.withLock { old in
      let changed = old.info.byteCount != new.info.byteCount
      old = new
      return changed
    }
    version.wrappingAdd(1, ordering: .releasing)
    return changed
  }

  /// Answers whether the disk was there until now.
  @discardableResult
  func setGone(_ value: Bool) -> Bool {
    let before = gone.exchange(value, ordering: .sequentiallyConsistent)
    if before != value { version.wrappingAdd(1, ordering: .releasing) }
    return !before
  }

  func dropClaim() { claimed.store(false, ordering: .releasing) }
}
