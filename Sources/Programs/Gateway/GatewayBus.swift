import Block
import LinuxIO
import Storvsc
import Synchronization
import SyntheticHost
import VMBusChannel
import VMBusClient
import VMBusProtocol
import VMBusServer

/// A bus with its SCSI controllers: an embedded host, or one behind a socket; the drivers are attached anew when the host
/// comes back.
final class GatewayBus: Sendable {
  let choice: BusChoice
  let client: VMBusClient
  private let host: SyntheticHost?
  private let controllers = Mutex<[GUID: StorvscController]>([:])
  private let notices: DriverNotices
  private let log: @Sendable (String) -> Void

  /// Connects with the bus.
  ///
  /// - Parameters:
  ///   - configuration: of the embedded host; ignored for a socket.
  ///   - memoryByteCount: size of the memory that the host can reach.
  init(
    _ choice: BusChoice, configuration: HostConfiguration?, memoryByteCount: Int, reconnectSeconds: Int, what: String,
    log: @escaping @Sendable (String) -> Void
  ) throws(GatewayError) {
    self.choice = choice
    self.log = log
    do throws(Errno) { notices = try DriverNotices() } catch {
      throw GatewayError(.failed, what: what, why: "eventfd: \(error)")
    }
    let transport: any BusTransport
    switch choice {
    case .embedded:
      guard let configuration else { throw GatewayError(.usage, what: what, why: "no image is named") }
      do throws(SyntheticHostError) { host = try SyntheticHost(configuration) } catch {
        throw GatewayError(error, what: what)
      }
      transport = host!.server.embeddedTransport()
    case .socket(let path):
      host = nil
      transport = SocketTransport(path: path)
    }
    var settings = VMBusClient.Settings()
    settings.memoryByteCount = memoryByteCount
    settings.reconnectMilliseconds = reconnectSeconds * 1000
    let events = EventRelay()
    settings.onEvent = { events.handle($0) }
    do throws(Errno) { client = try VMBusClient(transport: transport, settings: settings) } catch {
      throw GatewayError(.failed, what: what, why: "memory for the bus: \(error)")
    }
    do throws(ChannelError) { try client.connect() } catch {
      host?.stop()
      throw GatewayError(error, what: what, bus: choice)
    }
    events.bus = self
  }

  /// The driver of each SCSI controller on the bus, opened at the first call.
  func openControllers(options: StorvscOptions, what: String) throws(GatewayError) -> [StorvscController] {
    var opened: [StorvscController] = []
    for device in client.devices where device.offer.interfaceClass == .scsi {
      let notices = notices
      let instance = device.offer.instance
      do throws(ChannelError) {
        let controller = try StorvscController(device: device, options: options) { event in
          notices.post(instance, event)
        }
        controllers.withLock { $0[instance] = controller }
        opened.append(controller)
      } catch {
        throw GatewayError(.failed, what: what, why: "controller \(instance): \(error)")
      }
    }
    return opened
  }

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
      guard let device = client.awaitDevice(class: .scsi, instance: controller.instance, milliseconds: 1000) else {
        throw .lost
      }
      try controller.reattach(device: device)
    } catch {
      log("controller \(controller.instance): \(error)")
    }
  }

  /// What the bus offers.
  func deviceReports() -> [DeviceReport] {
    let open = controllers.withLock { $0.mapValues(\.channelCount) }
    return client.devices.map { device in
      let channels = open[device.offer.instance] ?? 0
      return DeviceReport(
        class: device.offer.interfaceClass.className ?? "\(device.offer.interfaceClass)",
        instance: "\(device.offer.instance)", relid: device.offer.relid, state: channels > 0 ? "open" : "offered",
        channels: channels)
    }
  }

  /// Closes the drivers, which flush, and leaves the bus.
  func close() {
    let all = controllers.withLock { controllers in
      defer { controllers = [:] }
      return Array(controllers.values)
    }
    for controller in all { controller.close() }
    client.disconnect()
    host?.stop()
  }

  /// A host has come back, or something was lost.
  fileprivate func handle(_ event: ClientEvent) {
    switch event {
    case .connected(let version): log("connected, version \(version)")
    case .arrived(let device):
      guard let controller = controllers.withLock({ $0[device.offer.instance] }) else { return }
      do throws(ChannelError) {
        try controller.reattach(device: device)
        log("controller \(device.offer.instance) is back")
      } catch {
        log("controller \(device.offer.instance) came back, but: \(error)")
      }
    case .removed(let device):
      log("controller \(device.offer.instance) was taken away")
      // Only when the old channels are closed does the host offer the controller again.
      try? controllers.withLock({ $0[device.offer.instance] })?.detach()
    case .disconnected(let reason): log("the host is gone (\(reason)); waiting for it")
    case .gaveUp(let reason): log("the host did not come back (\(reason))")
    }
  }
}

/// Hands events to a bus that is made after the client that sends them.
private final class EventRelay: Sendable {
  private let target = Mutex<WeakBus>(WeakBus())

  private struct WeakBus {
    weak var bus: GatewayBus?
  }

  var bus: GatewayBus? {
    get { target.withLock { $0.bus } }
    set { target.withLock { $0.bus = newValue } }
  }

  func handle(_ event: ClientEvent) {
    bus?.handle(event)
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
