import LinuxIO
import Synchronization
import SyntheticHost
import VMBusChannel
import VMBusClient
import VMBusProtocol
import VMBusServer
import VMBusUIO

/// A connection with a bus: an embedded host, one behind a socket, or the kernel's VMBus. The drivers of its devices are
/// `DiskDrivers` and `SyntheticLink`.
final class GatewayBus: Sendable {
  let choice: BusChoice
  /// The bus itself.
  let guest: any GuestBus
  private let host: SyntheticHost?
  private let relay: EventRelay

  /// Connects with the bus.
  ///
  /// - Parameters:
  ///   - configuration: of the embedded host; ignored for a socket.
  ///   - instances: the devices of the kernel's VMBus that are to be used; ignored for another bus.
  ///   - memoryByteCount: size of the memory that the host can reach.
  ///   - log: told what happens to the disks of an embedded host, from any thread.
  init(
    _ choice: BusChoice, configuration: HostConfiguration?, instances: Set<GUID> = [], memoryByteCount: Int,
    reconnectSeconds: Int, what: String, log: (@Sendable (String) -> Void)? = nil
  ) throws(GatewayError) {
    self.choice = choice
    let relay = EventRelay()
    self.relay = relay
    switch choice {
    case .hyperv:
      host = nil
      var settings = UIOBus.Settings()
      settings.instances = instances
      settings.memoryByteCount = memoryByteCount
      settings.reconnectMilliseconds = reconnectSeconds * 1000
      settings.onEvent = { relay.handle($0) }
      do throws(ChannelError) { guest = try UIOBus(settings: settings) } catch {
        throw GatewayError(error, what: what, bus: choice)
      }
    case .socket(let path):
      host = nil
      guest = try Self.connect(
        SocketTransport(path: path), choice, relay, memoryByteCount: memoryByteCount,
        reconnectSeconds: reconnectSeconds, what: what)
    case .embedded, .automatic:
      guard let configuration else { throw GatewayError(.usage, what: what, why: "no image is named") }
      let host: SyntheticHost
      do throws(SyntheticHostError) { host = try SyntheticHost(configuration, log: log) } catch {
        throw GatewayError(error, what: what)
      }
      self.host = host
      do throws(GatewayError) {
        guest = try Self.connect(
          host.server.embeddedTransport(), choice, relay, memoryByteCount: memoryByteCount,
          reconnectSeconds: reconnectSeconds, what: what)
      } catch {
        host.stop()
        throw error
      }
    }
  }

  private static func connect(
    _ transport: any BusTransport, _ choice: BusChoice, _ relay: EventRelay, memoryByteCount: Int,
    reconnectSeconds: Int, what: String
  ) throws(GatewayError) -> VMBusClient {
    var settings = VMBusClient.Settings()
    settings.memoryByteCount = memoryByteCount
    settings.reconnectMilliseconds = reconnectSeconds * 1000
    settings.onEvent = { relay.handle($0) }
    let client: VMBusClient
    do throws(Errno) { client = try VMBusClient(transport: transport, settings: settings) } catch {
      throw GatewayError(.failed, what: what, why: "memory for the bus: \(error)")
    }
    do throws(ChannelError) { try client.connect() } catch { throw GatewayError(error, what: what, bus: choice) }
    return client
  }

  /// The devices that are there now.
  var devices: [any GuestDevice] { guest.devices }

  /// Has `body` told what happens on the bus from now on, on a thread of the bus; it may open devices.
  func observe(_ body: @escaping @Sendable (GuestBusEvent) -> Void) {
    relay.body.withLock { $0 = body }
  }

  /// What the bus offers.
  ///
  /// - Parameter open: how many channels of each device are open.
  func deviceReports(open: [GUID: Int] = [:]) -> [DeviceReport] {
    devices.map { device in
      let channels = open[device.offer.instance] ?? 0
      return DeviceReport(
        class: device.offer.interfaceClass.className ?? "\(device.offer.interfaceClass)",
        instance: "\(device.offer.instance)", relid: device.offer.relid, state: channels > 0 ? "open" : "offered",
        channels: channels)
    }
  }

  /// Leaves the bus. The drivers must be closed.
  func close() {
    relay.body.withLock { $0 = nil }
    guest.disconnect()
    host?.stop()
  }
}

/// Hands events to whoever observes a bus, which is made after the client that sends them.
private final class EventRelay: Sendable {
  let body = Mutex<(@Sendable (GuestBusEvent) -> Void)?>(nil)

  func handle(_ event: GuestBusEvent) {
    body.withLock { $0 }?(event)
  }
}

extension GuestBusEvent {
  /// The event as a line of a log; nil for the coming and going of devices.
  var logLine: String? {
    switch self {
    case .connected(let version): "connected, version \(version)"
    case .disconnected(let reason): "the host is gone (\(reason)); waiting for it"
    case .gaveUp(let reason): "the host did not come back (\(reason))"
    case .arrived, .removed: nil
    }
  }
}
