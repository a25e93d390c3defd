import Block
import LinuxIO
import Storvsc
import Synchronization
import VMBusChannel
import VMBusProtocol

/// The drivers of the SCSI controllers on a bus; they are attached anew when the host comes back.
final class DiskDrivers: Sendable {
  private let bus: GatewayBus
  private let controllers = Mutex<[GUID: StorvscController]>([:])
  private let notices: DriverNotices
  private let log: @Sendable (String) -> Void

  /// No drivers yet.
  init(bus: GatewayBus, what: String, log: @escaping @Sendable (String) -> Void) throws(GatewayError) {
    self.bus = bus
    self.log = log
    do throws(Errno) { notices = try DriverNotices() } catch {
      throw GatewayError(.failed, what: what, why: "eventfd: \(error)")
    }
    bus.observe { [weak self] in self?.handle($0) }
  }

  /// The driver of each SCSI controller on the bus, opened at the first call.
  func openControllers(options: StorvscOptions, what: String) throws(GatewayError) -> [StorvscController] {
    var opened: [StorvscController] = []
    for device in bus.devices where device.offer.interfaceClass == .scsi {
      let notices = notices
      let instance = device.offer.instance
      do throws(ChannelError) {
        let controller = try StorvscController(device: device, options: options) { event in
          notices.post(instance, event)
        }
        controllers.withLock { $0[instance] = controller }
        opened.append(controller)
      } catch {
        throw GatewayError(GatewayError.kind(of: error), what: what, why: "controller \(instance): \(error)")
      }
    }
    return opened
  }

  /// Closes the drivers of all controllers but this one.
  func keep(only instance: GUID) {
    let others = controllers.withLock { controllers in
      defer { controllers = controllers.filter { $0.key == instance } }
      return controllers.filter { $0.key != instance }.map(\.value)
    }
    for controller in others { controller.close() }
  }

  /// How many channels of each controller are open.
  var openChannels: [GUID: Int] { controllers.withLock { $0.mapValues(\.channelCount) } }

  /// Readable while a driver has something to tell: call `handleNotices` then.
  var noticeDescriptor: Int32 { notices.descriptor }

  /// Does what the drivers have asked for. On the control thread: it may wait.
  ///
  /// - Returns: whether the size or the write permission of a disk has changed.
  func handleNotices() -> Bool {
    var isChanged = false
    for (instance, event) in notices.take() {
      guard let controller = controllers.withLock({ $0[instance] }) else { continue }
      switch event {
      case .busChanged: _ = try? controller.rescan()
      case .capacityChanged(let disk):
        log("disk \(disk.target):\(disk.lun) has \(disk.info.byteCount) bytes now")
        isChanged = true
      case .becameReadOnly(let disk):
        log("disk \(disk.target):\(disk.lun) is read-only now")
        isChanged = true
      case .unitAttention(let disk, let sense): log("disk \(disk.target):\(disk.lun): \(sense)")
      case .diskGone(let disk):
        log("disk \(disk.target):\(disk.lun) is gone")
        isChanged = true
      case .stalled(let disk):
        log("disk \(disk.target):\(disk.lun) does not answer: opening the controller anew")
        reopen(controller)
      case .channelLost: break
      }
    }
    for controller in controllers.withLock({ Array($0.values) }) { controller.poll() }
    return isChanged
  }

  /// Whether the host of a disk is there.
  func isConnected(_ disk: StorvscDisk) -> Bool { !disk.controller.isHostGone }

  /// Closes the channels, which is the only way to get requests back that are not answered, and opens them again.
  private func reopen(_ controller: StorvscController) {
    do throws(ChannelError) {
      try controller.detach()
      guard let device = bus.guest.awaitDevice(class: .scsi, instance: controller.instance, milliseconds: 1000) else {
        throw .lost
      }
      try controller.reattach(device: device)
    } catch {
      log("controller \(controller.instance): \(error)")
    }
  }

  /// Closes the drivers, which flush.
  func close() {
    let all = controllers.withLock { controllers in
      defer { controllers = [:] }
      return Array(controllers.values)
    }
    for controller in all { controller.close() }
  }

  /// A host has come back, or something was lost.
  private func handle(_ event: GuestBusEvent) {
    if let line = event.logLine { log(line) }
    switch event {
    case .arrived(let device):
      guard let controller = controllers.withLock({ $0[device.offer.instance] }) else { return }
      do throws(ChannelError) {
        try controller.reattach(device: device)
        log("controller \(device.offer.instance) is back")
      } catch {
        log("controller \(device.offer.instance) came back, but: \(error)")
      }
    case .removed(let device):
      guard let controller = controllers.withLock({ $0[device.offer.instance] }) else { return }
      log("controller \(device.offer.instance) was taken away")
      // Only when the old channels are closed does the host offer the controller again.
      try? controller.detach()
    case .connected, .disconnected, .gaveUp: break
    }
  }
}

/// What drivers tell from their threads, kept for the control thread.
private final class DriverNotices: Sendable {
  private let list = Mutex<[(GUID, StorvscEvent)]>([])
  private let event: EventFD

  init() throws(Errno) {
    event = try EventFD()
  }

  var descriptor: Int32 { event.descriptor }

  func post(_ instance: GUID, _ notice: StorvscEvent) {
    list.withLock { $0.append((instance, notice)) }
    event.signal()
  }

  func take() -> [(GUID, StorvscEvent)] {
    event.drain()
    return list.withLock { list in
      defer { list = [] }
      return list
    }
  }
}
