import IntegrationServices
import LinuxIO
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import VMBusServer

/// A host with services, and a connected guest, over real rings.
final class ServiceBed: Sendable {
  let server: VMBusServer
  let client: VMBusClient
  let keys: [DeviceKey]
  private let path: String

  init(_ attachment: TestBus.Attachment, _ devices: [any HostDevice]) throws {
    server = VMBusServer()
    keys = devices.map { [server] in server.add($0) }
    path = temporarySocketPath()
    client = try VMBusClient(transport: attachment.transport(to: server, path: path))
    try client.connect()
  }

  /// The service as the guest sees it.
  func device(_ interfaceClass: GUID) throws -> ClientDevice {
    try #require(client.awaitDevice(class: interfaceClass, milliseconds: 10_000))
  }

  func stop() {
    client.disconnect()
    server.stop()
    try? removeFile(path)
  }
}

/// Something that two threads know.
final class Flag: Sendable {
  let value = Atomic<Bool>(false)
}
