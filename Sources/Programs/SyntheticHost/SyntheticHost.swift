import Block
public import DiskImage
public import LinuxIO
import Storvsp
public import TapLink
import VMBusProtocol
public import VMBusServer

/// A synthetic host: disk images behind SCSI controllers, and NICs with a switch behind them, on a VMBus server.
public final class SyntheticHost: Sendable {
  /// The bus; an embedded guest attaches by its `embeddedTransport()`.
  public let server: VMBusServer
  /// What is offered.
  public let configuration: HostConfiguration
  private let networks: HostNetworks

  /// Opens the images and uplinks and offers the devices; guests can attach by `server` from now on.
  ///
  /// - Parameters:
  ///   - configuration: the disks and networks.
  ///   - settings: of the bus.
  /// - Throws: the first disk or network that can't be served.
  public init(
    _ configuration: HostConfiguration, settings: VMBusServer.Settings = VMBusServer.Settings()
  ) throws(SyntheticHostError) {
    self.configuration = configuration
    var controllers: [SCSIController] = []
    for description in configuration.controllers {
      var options = SCSIControllerOptions()
      options.maximumSubChannelCount = 64
      let controller = SCSIController(instance: description.id, options: options)
      for disk in description.disks { try Self.add(disk, to: controller) }
      controllers.append(controller)
    }
    networks = try HostNetworks(configuration.networks)
    server = VMBusServer(settings)
    for controller in controllers { _ = server.add(controller) }
    for nic in networks.nics { _ = server.add(nic) }
  }

  private static func add(_ disk: DiskConfiguration, to controller: SCSIController) throws(SyntheticHostError) {
    var options = RawImage.Options()
    options.isReadOnly = disk.readOnly
    options.sectorByteCount = disk.sectorSize
    options.serial = disk.serial
    options.cache =
      switch disk.cache {
      case .automatic: .automatic
      case .buffered: .buffered
      case .direct: .direct
      }
    let image: RawImage
    do throws(DiskImageError) { image = try DiskImage.open(disk.image, options: options) } catch {
      throw .image(disk.image, error)
    }
    do throws(SCSIController.ConfigurationError) {
      try controller.addDisk(lun: UInt8(disk.lun), target: UInt8(disk.target), device: image)
    } catch {
      throw .controller("\(error)")
    }
  }

  /// Listens at the socket of the configuration.
  ///
  /// - Throws: `.listen`; a socket that nobody listens at is replaced.
  public func listen() throws(SyntheticHostError) {
    guard let path = configuration.listen else { return }
    do throws(Errno) { try server.listen(at: path) } catch { throw .listen(path, error) }
  }

  /// Lets all guests go, and stops listening.
  public func stop() {
    server.stop()
    networks.close()
    if let path = configuration.listen { try? removeFile(path) }
  }
}

/// Why a synthetic host can't run.
public enum SyntheticHostError: Error, Sendable, CustomStringConvertible {
  /// An image can't be served.
  case image(String, DiskImageError)
  /// The socket can't be listened at.
  case listen(String, Errno)
  /// An uplink can't be had, in words.
  case uplink(Uplink, String)
  /// The TAP of an uplink can't be had.
  case tap(String, TapError)
  /// The disks do not fit together.
  case controller(String)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .image(let path, let error): "\(path): \(error)"
    case .listen(let path, let errno): "listening at \(path): \(errno)"
    case .uplink(let uplink, let text): "uplink \(uplink): \(text)"
    case .tap(let name, let error): "uplink tap:\(name): \(error)"
    case .controller(let text): text
    }
  }
}
