public import Block
import SCSI
import Synchronization

/// A disk at an address of a controller: a block device, and what all guests share of it as a SCSI unit.
public final class SCSIDisk: Sendable {
  /// Where the disk hangs.
  public let address: DiskAddress
  /// What serves its I/O.
  public let device: any BlockDevice

  private let isReadOnly: Bool
  private let snapshot: Mutex<BlockDeviceInfo>
  private let sharing = Mutex(Sharing())

  private struct Sharing {
    var table = ReservationTable()
    var nexuses: [UnitNexus] = []
  }

  init(_ device: any BlockDevice, at address: DiskAddress, readOnly: Bool) {
    self.device = device
    self.address = address
    isReadOnly = readOnly
    snapshot = Mutex(Self.info(of: device, readOnly: readOnly))
  }

  /// What guests are told of the disk: the device's own words as of the last `refresh`.
  public var info: BlockDeviceInfo { snapshot.withLock { $0 } }

  var profile: DiskProfile { DiskProfile(info) }

  /// Asks the device anew.
  func refresh() {
    let now = Self.info(of: device, readOnly: isReadOnly)
    snapshot.withLock { $0 = now }
  }

  private static func info(of device: any BlockDevice, readOnly: Bool) -> BlockDeviceInfo {
    var info = device.info
    if readOnly { info.isReadOnly = true }
    return info
  }

  // MARK: Guests and reservations

  /// A guest opens the controller of this disk.
  func attach(_ guestID: UInt64) -> UnitNexus {
    let nexus = UnitNexus(disk: self, guestID: guestID)
    sharing.withLock {
      $0.nexuses.append(nexus)
      nexus.restrictions = $0.table.restrictions(of: guestID)
    }
    return nexus
  }

  /// The guest's session has ended: what it took with RESERVE(6) is free, persistent reservations stay.
  func detach(_ nexus: UnitNexus) {
    change { table in _ = table.release(nexus.guestID) }
    sharing.withLock { $0.nexuses.removeAll { $0 === nexus } }
  }

  /// Makes `attention` pending for every guest.
  func post(_ attention: UnitAttention) {
    sharing.withLock {
      for nexus in $0.nexuses { nexus.post(attention) }
    }
  }

  /// Carries an action out, then tells each guest what it may still do.
  func change<R: Sendable>(_ action: (inout ReservationTable) -> R) -> R {
    sharing.withLock { sharing in
      let result = action(&sharing.table)
      for nexus in sharing.nexuses {
        nexus.restrictions = sharing.table.restrictions(of: nexus.guestID)
      }
      for notice in sharing.table.takeNotices() {
        for nexus in sharing.nexuses where nexus.guestID == notice.guestID { nexus.post(notice.attention) }
      }
      return result
    }
  }

  /// Looks at the reservations.
  func reservations<R: Sendable>(_ look: (borrowing ReservationTable) -> R) -> R {
    sharing.withLock { look($0.table) }
  }
}
