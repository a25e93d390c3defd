public import Block
public import StorvscProtocol
import Synchronization
public import VMBusChannel
public import VMBusProtocol

/// The host end of the synthetic SCSI controller (storvsp): serves disks to every guest that opens it.
///
/// Disks come and go at any time, from any thread; guests are told, and look again.
public final class SCSIController: HostDevice {
  /// Why a disk can't be attached or found.
  public enum ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is a disk at that address already.
    case occupied(DiskAddress)
    /// There is no disk at that address.
    case absent(DiskAddress)
    /// The target or the LUN is out of range.
    case address(target: UInt8, lun: UInt8)
    /// Sectors of a size that is neither 512 nor 4096 bytes.
    case sectorByteCount(Int)

    /// What is wrong, in words.
    public var description: String {
      switch self {
      case .occupied(let address): "there is a disk at \(address) already"
      case .absent(let address): "there is no disk at \(address)"
      case .address(let target, let lun): "\(target):\(lun) is no address: targets are 0 and 1, LUNs 0 to 63"
      case .sectorByteCount(let count): "sectors of \(count) bytes; 512 and 4096 are possible"
      }
    }
  }

  /// The class of SCSI controllers.
  public var interfaceClass: GUID { .scsi }
  /// The instance of this controller; guests derive device names from it.
  public let instance: GUID
  /// Nothing: the user data of a SCSI controller's offer are zeros.
  public var userDefined: [UInt8] { [] }
  /// No flags.
  public var offerFlags: OfferFlags { [] }
  /// What the controller offers.
  public let options: SCSIControllerOptions

  private let state = Mutex(State())

  private struct State {
    var disks = [SCSIDisk?](repeating: nil, count: DiskAddress.count)
    var sessions: [ControllerSession] = []
  }

  /// A controller without disks.
  public init(instance: GUID, options: SCSIControllerOptions = SCSIControllerOptions()) {
    self.instance = instance
    self.options = options.clamped
  }

  // MARK: Disks

  /// The disks, in the order of their addresses.
  public var disks: [SCSIDisk] {
    state.withLock { state in state.disks.compactMap { $0 } }
  }

  /// Attaches `device`; guests are told.
  ///
  /// - Parameter readOnly: refuse writes, also where the device would take them.
  /// - Throws: `.address`, `.occupied`, `.sectorByteCount`.
  @discardableResult
  public func addDisk(
    lun: UInt8, target: UInt8 = 0, device: any BlockDevice, readOnly: Bool = false
  ) throws(ConfigurationError) -> SCSIDisk {
    let address = try Self.address(target, lun)
    let sectorByteCount = device.info.sectorByteCount
    guard sectorByteCount == 512 || sectorByteCount == 4096 else { throw .sectorByteCount(sectorByteCount) }
    let disk = SCSIDisk(device, at: address, readOnly: readOnly)
    let isOccupied = state.withLock { state in
      guard state.disks[address.index] == nil else { return true }
      state.disks[address.index] = disk
      for session in state.sessions {
        session.attach(disk)
        session.disksChanged()
      }
      return false
    }
    if isOccupied { throw .occupied(address) }
    return disk
  }

  /// Takes a disk away. Commands that are running end normally, later ones find no disk; guests are told. Each channel
  /// lets go of the device as soon as its own commands have ended.
  ///
  /// - Throws: `.address`, `.absent`.
  public func removeDisk(lun: UInt8, target: UInt8 = 0) throws(ConfigurationError) {
    let address = try Self.address(target, lun)
    let isAbsent = state.withLock { state in
      guard state.disks[address.index] != nil else { return true }
      state.disks[address.index] = nil
      for session in state.sessions {
        session.detach(address)
        session.disksChanged()
      }
      return false
    }
    if isAbsent { throw .absent(address) }
  }

  /// Reads anew what the device is: its capacity, or whether it may be written, has changed. Each guest gets a unit
  /// attention once, and is asked to look.
  ///
  /// - Throws: `.address`, `.absent`.
  public func diskResized(lun: UInt8, target: UInt8 = 0) throws(ConfigurationError) {
    let address = try Self.address(target, lun)
    let isAbsent = state.withLock { state in
      guard let disk = state.disks[address.index] else { return true }
      disk.refresh()
      disk.post(.capacityChanged)
      for session in state.sessions { session.disksChanged() }
      return false
    }
    if isAbsent { throw .absent(address) }
  }

  private static func address(_ target: UInt8, _ lun: UInt8) throws(ConfigurationError) -> DiskAddress {
    guard let address = DiskAddress(target: target, lun: lun) else { throw .address(target: target, lun: lun) }
    return address
  }

  // MARK: Guests

  /// A guest that has the controller open.
  public struct SessionStatus: Sendable, Equatable {
    /// The guest.
    public var guestID: UInt64
    /// The protocol version once I/O may start.
    public var version: StorvscVersion?
    /// Its open channels.
    public var channelCount: Int
    /// What they did.
    public var statistics: StorvspStatistics
  }

  /// The guests that have the controller open.
  public var sessions: [SessionStatus] {
    state.withLock { state in state.sessions.map(\.status) }
  }

  /// A session for a guest; any number of guests may share the controller and its disks.
  public func makeSession(for guest: GuestContext) throws(ChannelError) -> any HostDeviceSession {
    let session = ControllerSession(self, guest)
    state.withLock { state in
      for case let disk? in state.disks { session.attach(disk) }
      state.sessions.append(session)
    }
    return session
  }

  func sessionEnded(_ session: ControllerSession) {
    state.withLock { state in
      for case let disk? in state.disks { session.detach(disk.address) }
      state.sessions.removeAll { $0 === session }
    }
  }

  /// The sub-channels that a guest may ask for: as many queues as every disk can serve, the primary not counted.
  var maximumSubChannelCount: Int {
    disks.reduce(options.maximumSubChannelCount) { min($0, max(0, $1.device.maximumQueueCount - 1)) }
  }

  /// LUNs of the disks of one target.
  func luns(ofTarget target: UInt8) -> [UInt16] {
    disks.filter { $0.address.target == target }.map { UInt16($0.address.lun) }
  }
}
