import Block
import DiskImage
import LinuxIO
import Storvsp
import Synchronization
import VMBusProtocol
import VMBusServer

/// The SCSI controllers of a host and their disks, which come and go while it runs.
final class HostControllers: Sendable {
  private struct Entry {
    let controller: SCSIController
    let key: DeviceKey
    var disks: [DiskConfiguration]
    var images: [DiskAddress: any OpenedImage]
  }

  private let server: VMBusServer
  private let keepsUnflushedWrites: Bool
  private let log: (@Sendable (String) -> Void)?
  private let entries = Mutex<[Entry]>([])

  /// How long a guest may take to let go of what is removed, until the call returns all the same.
  private static let releaseMilliseconds = 5000

  /// - Parameters:
  ///   - keepsUnflushedWrites: whether guests go on when this process dies, so that no write that has ended for them may
  ///     be lost with it.
  ///   - log: told what happens to disks, from any thread.
  init(server: VMBusServer, keepsUnflushedWrites: Bool, log: (@Sendable (String) -> Void)? = nil) {
    self.server = server
    self.keepsUnflushedWrites = keepsUnflushedWrites
    self.log = log
  }

  /// The controllers in their order, as they are now.
  var configurations: [ControllerConfiguration] {
    entries.withLock { $0.map { ControllerConfiguration(id: $0.controller.instance, disks: $0.disks) } }
  }

  /// A controller with its disks is offered.
  ///
  /// - Throws: the first disk that can't be served; `.exists` when there is a controller of this id.
  func add(_ configuration: ControllerConfiguration) throws(SyntheticHostError) {
    var options = SCSIControllerOptions()
    options.maximumSubChannelCount = 64
    let controller = SCSIController(instance: configuration.id, options: options)
    try entries.withLock { entries throws(SyntheticHostError) in
      guard !entries.contains(where: { $0.controller.instance == configuration.id }) else {
        throw .exists("a device with the id \(configuration.id)")
      }
      var images: [DiskAddress: any OpenedImage] = [:]
      for disk in configuration.disks {
        let (address, image) = try add(disk, to: controller)
        images[address] = image
      }
      let key = server.add(controller)
      entries.append(Entry(controller: controller, key: key, disks: configuration.disks, images: images))
    }
  }

  /// A controller is taken back from all guests. Its images are released, unless a guest still holds them after some
  /// seconds.
  ///
  /// - Throws: `.absent`.
  func remove(_ id: GUID) throws(SyntheticHostError) {
    let (key, controller, images) = try entries.withLock { entries throws(SyntheticHostError) in
      let entry = entries.remove(at: try Self.index(of: id, in: entries))
      return (entry.key, entry.controller, entry.images.values.map { WeakImage($0) })
    }
    server.remove(key)
    // To a guest that still has the channels, the loss of a disk is an error; the loss of the controller may be a pause.
    Self.settle { controller.sessions.isEmpty }
    for disk in controller.disks { try? controller.removeDisk(lun: disk.address.lun, target: disk.address.target) }
    Self.settle { controller.sessions.isEmpty && images.allSatisfy { $0.image == nil } }
  }

  /// A disk is attached; guests are told.
  ///
  /// - Throws: why it can't be served; `.absent` without such a controller.
  func addDisk(_ disk: DiskConfiguration, to id: GUID) throws(SyntheticHostError) {
    try entries.withLock { entries throws(SyntheticHostError) in
      let index = try Self.index(of: id, in: entries)
      if entries[index].disks.contains(where: { $0.target == disk.target && $0.lun == disk.lun }) {
        throw .exists("a disk at \(disk.target):\(disk.lun)")
      }
      let (address, image) = try add(disk, to: entries[index].controller)
      entries[index].disks.append(disk)
      entries[index].images[address] = image
    }
  }

  /// A disk is taken away; guests are told. The image is released, unless a guest's command on it lasts some seconds.
  ///
  /// - Throws: `.absent`.
  func removeDisk(target: Int, lun: Int, from id: GUID) throws(SyntheticHostError) {
    let image = try entries.withLock { entries throws(SyntheticHostError) in
      let index = try Self.index(of: id, in: entries)
      let address = try Self.disk(target, lun, of: entries[index])
      do throws(SCSIController.ConfigurationError) {
        try entries[index].controller.removeDisk(lun: address.lun, target: address.target)
      } catch {
        throw .controller("\(error)")
      }
      entries[index].disks.removeAll { $0.target == target && $0.lun == lun }
      return WeakImage(entries[index].images.removeValue(forKey: address))
    }
    Self.settle { image.image == nil }
  }

  /// The image of a disk is made longer or shorter; guests are told.
  ///
  /// - Throws: `.absent`, `.image`.
  func resizeDisk(target: Int, lun: Int, of id: GUID, byteCount: UInt64) throws(SyntheticHostError) {
    try entries.withLock { entries throws(SyntheticHostError) in
      let entry = entries[try Self.index(of: id, in: entries)]
      let address = try Self.disk(target, lun, of: entry)
      let path = entry.disks.first { $0.address == address }?.image ?? ""
      do throws(DiskImageError) { try entry.images[address]?.resize(to: byteCount) } catch {
        throw .image(path, error)
      }
      do throws(SCSIController.ConfigurationError) {
        try entry.controller.diskResized(lun: address.lun, target: address.target)
      } catch {
        throw .controller("\(error)")
      }
    }
  }

  /// Capacity of a disk in bytes, and how many guests have its controller open.
  func facts(target: Int, lun: Int, of id: GUID) -> (byteCount: UInt64, guests: Int)? {
    entries.withLock { entries in
      guard let entry = entries.first(where: { $0.controller.instance == id }),
        let disk = entry.controller.disks.first(where: { $0.address.target == target && $0.address.lun == lun })
      else { return nil }
      return (disk.info.byteCount, entry.controller.sessions.count)
    }
  }

  /// Closes all images, after the server has stopped. One that can't be closed is as after a crash: what is missing is made
  /// up for when it is opened again.
  func close() {
    for image in entries.withLock({ $0.flatMap(\.images.values) }) { try? image.close() }
  }

  private static func index(of id: GUID, in entries: [Entry]) throws(SyntheticHostError) -> Int {
    guard let index = entries.firstIndex(where: { $0.controller.instance == id }) else {
      throw .absent("controller with the id \(id)")
    }
    return index
  }

  private static func disk(_ target: Int, _ lun: Int, of entry: Entry) throws(SyntheticHostError) -> DiskAddress {
    guard let disk = entry.disks.first(where: { $0.target == target && $0.lun == lun }), let address = disk.address
    else { throw .absent("disk at \(target):\(lun)") }
    return address
  }

  private func add(
    _ disk: DiskConfiguration, to controller: SCSIController
  ) throws(SyntheticHostError) -> (DiskAddress, any OpenedImage) {
    guard let address = disk.address else {
      throw .controller("\(disk.target):\(disk.lun) is no address: targets are 0 and 1, LUNs 0 to 63")
    }
    var options = disk.imageOptions
    options.keepsUnflushedWrites = keepsUnflushedWrites
    options.report = log
    let image: any OpenedImage
    do throws(DiskImageError) { image = try DiskImage.open(disk.image, options: options) } catch {
      throw .image(disk.image, error)
    }
    do throws(SCSIController.ConfigurationError) {
      try controller.addDisk(lun: address.lun, target: address.target, device: image)
    } catch {
      throw .controller("\(error)")
    }
    return (address, image)
  }

  private static func settle(_ condition: () -> Bool) {
    awaitCondition(milliseconds: releaseMilliseconds, condition)
  }
}

/// An image that lives only as long as somebody else needs it.
private final class WeakImage: Sendable {
  private let reference: Mutex<Reference>

  private struct Reference {
    weak var image: (any OpenedImage)?
  }

  init(_ image: (any OpenedImage)?) {
    reference = Mutex(Reference(image: image))
  }

  var image: (any OpenedImage)? { reference.withLock { $0.image } }
}

/// Looks every few milliseconds whether `condition` holds, until it does or `milliseconds` have passed.
@discardableResult
func awaitCondition(milliseconds: Int, _ condition: () -> Bool) -> Bool {
  let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
  while !condition() {
    if monotonicNanoseconds() > deadline { return false }
    sleepThread(nanoseconds: 5_000_000)
  }
  return true
}

extension DiskConfiguration {
  /// The place on a controller; nil when it is none.
  var address: DiskAddress? {
    guard let target = UInt8(exactly: target), let lun = UInt8(exactly: lun) else { return nil }
    return DiskAddress(target: target, lun: lun)
  }

  var imageOptions: DiskImage.Options {
    var options = DiskImage.Options()
    options.isReadOnly = readOnly
    options.sectorByteCount = sectorSize
    options.serial = serial
    options.parentDirectories = parentDirectories
    options.parentPaths = parents
    options.reconnectSeconds = reconnectSeconds
    options.format = format
    options.cache =
      switch cache {
      case .automatic: .automatic
      case .buffered: .buffered
      case .direct: .direct
      }
    return options
  }
}
