import LinuxIO
import Synchronization
public import VMBusProtocol
public import VMBusServer

/// A synthetic host: disk images behind SCSI controllers, NICs with a switch behind them, and integration services, on a
/// VMBus server. What it offers can be changed while it runs, from any thread.
public final class SyntheticHost: Sendable {
  /// The bus; an embedded guest attaches by its `embeddedTransport()`.
  public let server: VMBusServer
  /// What was offered at first.
  public let configuration: HostConfiguration
  /// The integration services.
  public let services: HostServices
  let controllers: HostControllers
  let networks: HostNetworks
  private let control = Mutex<HostControl?>(nil)

  /// Opens the images and uplinks and offers the devices; guests can attach by `server` from now on.
  ///
  /// - Parameters:
  ///   - configuration: the disks, networks and services.
  ///   - settings: of the bus.
  ///   - referenceTime: the reference counter of the virtual machine now, in units of 100 ns, for time synchronization;
  ///     nil where it is not known.
  ///   - log: told what happens to disks whose storage is elsewhere, from any thread.
  /// - Throws: the first disk or network that can't be served.
  public init(
    _ configuration: HostConfiguration, settings: VMBusServer.Settings = VMBusServer.Settings(),
    referenceTime: (@Sendable () -> UInt64)? = nil, log: (@Sendable (String) -> Void)? = nil
  ) throws(SyntheticHostError) {
    self.configuration = configuration
    server = VMBusServer(settings)
    controllers = HostControllers(server: server, keepsUnflushedWrites: configuration.listen != nil, log: log)
    networks = HostNetworks(server: server)
    services = HostServices(configuration.services, referenceTime: referenceTime)
    do throws(SyntheticHostError) {
      for controller in configuration.controllers { try controllers.add(controller) }
      for network in configuration.networks { try networks.add(network, planned: configuration.networks) }
    } catch {
      networks.close()
      throw error
    }
    services.offer(by: server)
  }

  /// Listens at the socket of the configuration.
  ///
  /// - Throws: `.listen`; a socket that nobody listens at is replaced.
  public func listen() throws(SyntheticHostError) {
    guard let path = configuration.listen else { return }
    do throws(Errno) { try server.listen(at: path) } catch { throw .listen(path, error) }
  }

  /// Takes commands at a Unix socket until `stop`; see `HostControl`.
  ///
  /// - Throws: `.listen`; a socket that nobody listens at is replaced.
  public func takeCommands(at path: String) throws(SyntheticHostError) {
    let started: HostControl
    do throws(Errno) { started = try HostControl(self, path: path) } catch { throw .listen(path, error) }
    let former = control.withLock { control in
      let former = control
      control = started
      return former
    }
    former?.close()
    former?.join()
  }

  /// Lets all guests go, and stops listening.
  public func stop() {
    let control = control.withLock { $0.take() }
    // Commands that wait for a guest end with it.
    control?.close()
    server.stop()
    controllers.close()
    networks.close()
    control?.join()
  }

  // MARK: Changes

  /// The controllers with their disks, as they are now.
  public var currentControllers: [ControllerConfiguration] { controllers.configurations }

  /// The NICs, as they are now.
  public var currentNetworks: [NetworkConfiguration] { networks.configurations.map(\.network) }

  /// Offers a controller with its disks.
  ///
  /// - Throws: the first disk that can't be served; `.exists` for an id that is taken.
  public func addController(_ controller: ControllerConfiguration) throws(SyntheticHostError) {
    if currentNetworks.contains(where: { $0.id == controller.id }) {
      throw .exists("a device with the id \(controller.id)")
    }
    try controllers.add(controller)
  }

  /// Takes a controller back from all guests, with its disks. Returns when they are released, or after some seconds.
  ///
  /// - Throws: `.absent`.
  public func removeController(_ id: GUID) throws(SyntheticHostError) { try controllers.remove(id) }

  /// Attaches a disk to a controller; guests are told.
  ///
  /// - Throws: why it can't be served; `.exists` for an address that is taken, `.absent` without such a controller.
  public func addDisk(_ disk: DiskConfiguration, to controller: GUID) throws(SyntheticHostError) {
    try controllers.addDisk(disk, to: controller)
  }

  /// Takes a disk away; guests are told. Commands that run end normally. Returns when its image is released, or after some
  /// seconds.
  ///
  /// - Throws: `.absent`.
  public func removeDisk(target: Int, lun: Int, from controller: GUID) throws(SyntheticHostError) {
    try controllers.removeDisk(target: target, lun: lun, from: controller)
  }

  /// Makes the image of a disk longer or shorter; guests are told.
  ///
  /// - Throws: `.absent`; `.image` for a length that is not possible.
  public func resizeDisk(
    target: Int, lun: Int, of controller: GUID, byteCount: UInt64
  ) throws(SyntheticHostError) {
    try controllers.resizeDisk(target: target, lun: lun, of: controller, byteCount: byteCount)
  }

  /// Offers a NIC.
  ///
  /// - Throws: `.uplink` or `.tap` when the uplink can't be had; `.exists` for an id or a MAC address that is taken.
  public func addNetwork(_ network: NetworkConfiguration) throws(SyntheticHostError) {
    if currentControllers.contains(where: { $0.id == network.id }) {
      throw .exists("a device with the id \(network.id)")
    }
    try networks.add(network)
  }

  /// Takes a NIC back from its guest. Returns when the guest's end is closed, or after some seconds.
  ///
  /// - Throws: `.absent`.
  public func removeNetwork(_ id: GUID) throws(SyntheticHostError) { try networks.remove(id) }

  /// Plugs the cable of a NIC in, or pulls it out.
  ///
  /// - Throws: `.absent`.
  public func setCarrier(_ isUp: Bool, of id: GUID) throws(SyntheticHostError) {
    try networks.setConnected(isUp, id)
  }
}
