import Block
import IntegrationServices
import LinuxIO
import Storvsc
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import WireBytes

@testable import SyntheticHost

@Suite(.serialized) struct ChangeTests {
  /// Files of one test.
  private final class Files {
    private(set) var paths: [String] = []

    func image(_ byteCount: UInt64) throws -> String {
      let path = "/tmp/synthgate-change-\(monotonicNanoseconds())-\(paths.count).img"
      let file = try OwnedDescriptor.open(path, flags: 0o102)
      try file.truncate(to: byteCount)
      paths.append(path)
      return path
    }

    deinit {
      for path in paths { try? removeFile(path) }
    }
  }

  private func length(_ path: String) throws -> UInt64 {
    let file = try OwnedDescriptor.open(path, flags: 0)
    return try FileInfo(descriptor: file.number).byteCount
  }

  /// A guest whose host has threads of its own.
  private func connect(_ host: SyntheticHost) throws -> VMBusClient {
    let client = try VMBusClient(transport: HypervisorTransport(server: host.server))
    try client.connect()
    return client
  }

  @Test func disksComeAndGoAndChange() throws {
    let files = Files()
    let first = try files.image(1 << 20)
    let second = try files.image(2 << 20)
    let host = try SyntheticHost(
      HostConfiguration(controllers: [
        ControllerConfiguration(
          id: ControllerConfiguration.defaultID(0), disks: [DiskConfiguration(lun: 0, image: first)])
      ]))
    defer { host.stop() }
    let client = try connect(host)
    defer { client.disconnect() }
    let device = try #require(client.awaitDevice(class: .scsi, milliseconds: 10_000))
    let changes = Atomic<Int>(0)
    let driver = try StorvscController(device: device) { event in
      if case .busChanged = event { changes.add(1, ordering: .relaxed) }
    }
    defer { driver.close() }
    #expect(driver.disks.map(\.info.byteCount) == [1 << 20])

    #expect(host.perform(command: "disk add 0 0:5 \(second) readOnly") == "ok")
    // The host tells the guest that there is something new.
    #expect(
      settled {
        driver.poll()
        return changes.load(ordering: .relaxed) > 0
      })
    try driver.rescan()
    #expect(driver.disks.map(\.info.byteCount) == [1 << 20, 2 << 20])
    #expect(driver.disks[1].info.isReadOnly)
    #expect(host.perform(command: "disk add 0 0:5 \(second)") == "error there is a disk at 0:5 already")
    #expect(host.perform(command: "disk add 0 0:6 \(first)").hasPrefix("error \(first): it is in use"))
    #expect(host.perform(command: "disk add 0 0:6 /nowhere.img") == "error /nowhere.img: there is no such file")
    #expect(host.perform(command: "disk add 1 0:6 \(first)") == "error there is no controller 1")
    #expect(host.perform(command: "disk resize 0 0:5 4194304") == "error \(second): it is served read-only")

    // The image is free once its disk is gone.
    #expect(host.perform(command: "disk remove 0 0:5") == "ok")
    #expect(host.perform(command: "disk remove 0 0:5") == "error there is no disk at 0:5")
    #expect(host.perform(command: "disk add 0 1:0 \(second)") == "ok")
    try driver.rescan()
    #expect(driver.disks.count == 2)

    #expect(host.perform(command: "disk resize 0 1:0 4194304") == "ok")
    #expect(try length(second) == 4 << 20)
    try driver.rescan()
    #expect(driver.disks.contains { $0.info.byteCount == 4 << 20 })
    #expect(host.perform(command: "disk resize 0 1:0 1048576") == "ok")
    #expect(try length(second) == 1 << 20)
    for wrong in ["0", "1000", "18446744073709551615"] {
      #expect(host.perform(command: "disk resize 0 1:0 \(wrong)").hasPrefix("error "), "\(wrong)")
      #expect(try length(second) == 1 << 20)
    }
    #expect(host.perform(command: "status").contains("disk=1:0 image=\(second) bytes=1048576 readOnly=no users=1"))
  }

  @Test func controllersComeAndGo() throws {
    let files = Files()
    let image = try files.image(1 << 20)
    let host = try SyntheticHost(HostConfiguration())
    defer { host.stop() }
    let client = try connect(host)
    defer { client.disconnect() }
    let id = GUID(0xabcd, 1, 2, 3)
    for _ in 0..<3 {
      #expect(host.perform(command: "controller add \(id)") == "ok")
      #expect(host.perform(command: "controller add \(id)") == "error there is a device with the id \(id) already")
      #expect(host.perform(command: "disk add \(id) 0:0 \(image)") == "ok")
      let device = try #require(client.awaitDevice(class: .scsi, instance: id, milliseconds: 10_000))
      let driver = try StorvscController(device: device)
      #expect(driver.disks.count == 1)
      #expect(host.currentControllers.map(\.id) == [id])
      #expect(host.perform(command: "controller remove 0") == "ok")
      #expect(settled { device.isLost })
      driver.close()
      #expect(settled { client.devices.isEmpty })
    }
    #expect(host.perform(command: "controller remove \(id)") == "error there is no controller with the id \(id)")
  }

  @Test func nicsComeAndGo() throws {
    let host = try SyntheticHost(HostConfiguration())
    defer { host.stop() }
    let client = try connect(host)
    defer { client.disconnect() }
    let answer = host.perform(command: "nic add responder:10.77.0.1/24")
    #expect(answer == "ok \(NetworkConfiguration.defaultID(0)) \(NetworkConfiguration.defaultAddress(0))")
    #expect(host.perform(command: "nic add none 00:15:5d:00:00:09").hasPrefix("ok "))
    #expect(settled { client.devices.count == 2 })
    #expect(host.perform(command: "nic add none 00:15:5d:00:00:09").hasPrefix("error there is a NIC with the address"))
    #expect(host.perform(command: "nic add tap:a/b").hasPrefix("error "))
    #expect(host.perform(command: "nic carrier 00:15:5d:00:00:09 down") == "ok")
    #expect(host.perform(command: "status").contains("mac=00:15:5d:00:00:09 uplink=none carrier=down open=no"))
    #expect(host.perform(command: "nic carrier 1 up") == "ok")
    #expect(host.perform(command: "nic remove 0") == "ok")
    #expect(settled { client.devices.count == 1 })
    // Its number is free again.
    #expect(host.perform(command: "nic add responder:10.77.0.1/24") == answer)
    #expect(host.perform(command: "nic remove \(NetworkConfiguration.defaultID(0))") == "ok")
    #expect(host.perform(command: "nic remove 00:15:5d:00:00:09") == "ok")
    #expect(host.perform(command: "nic remove 0") == "error there is no NIC 0")
    #expect(settled { client.devices.isEmpty })
    #expect(host.perform(command: "status") == "ok guests=1")
  }

  @Test func servicesThatAreNotOfferedOrNotOpen() throws {
    let bare = try SyntheticHost(HostConfiguration())
    defer { bare.stop() }
    for command in ["shutdown", "restart", "heartbeat", "kvp list", "kvp addresses", "kvp get a"] {
      #expect(bare.perform(command: command).hasPrefix("error the host does not offer the service"))
    }
    let host = try SyntheticHost(HostConfiguration(services: [.shutdown, .heartbeat, .timesync, .kvp]))
    defer { host.stop() }
    for command in ["shutdown", "restart", "heartbeat", "kvp list", "kvp addresses", "kvp get a"] {
      #expect(host.perform(command: command) == "error no guest has opened the service")
    }
    #expect(
      host.perform(command: "status") == "ok guests=0 service=shutdown version=closed service=heartbeat version=closed"
        + " service=timesync version=closed service=kvp version=closed")
  }

  @Test func servicesWithAGuest() throws {
    let host = try SyntheticHost(HostConfiguration(services: [.shutdown, .heartbeat, .kvp]))
    let client = try connect(host)
    let guests = [
      try UtilGuest(device(client, .shutdown), .versions([ICVersion(3, 1)])) { header, payload in
        [UtilGuest.answer(payload, header.reply())]
      },
      try UtilGuest(device(client, .heartbeat), .versions([ICVersion(3, 0)])) { header, payload in
        guard let beat = try? ICHeartbeat(parsing: payload.rawSpan, header: header) else { return [] }
        return [beat.reply(state: .healthy).payload(header: header.reply())]
      },
      try UtilGuest(device(client, .keyValuePair), .versions([ICVersion(4, 0)])) { header, payload in
        guard let body = try? ICKeyValue(parsing: payload.rawSpan, header: header) else { return [] }
        let (answer, status) = Self.answer(body)
        return [answer.payload(header: header.reply(status: status))]
      },
    ]
    #expect(settled { host.perform(command: "heartbeat").hasPrefix("ok age=") })
    #expect(host.perform(command: "heartbeat").contains(" state=healthy answers="))
    try host.services.keyValue?.awaitReady(milliseconds: 10_000)
    try host.services.shutdown?.awaitReady(milliseconds: 10_000)
    #expect(host.perform(command: "shutdown") == "ok")
    #expect(host.perform(command: "restart") == "ok")
    #expect(
      host.perform(command: "kvp list")
        == #"ok auto/OSName="De\"b\nian" auto/NetworkAddressIPv4="10.0.0.2" guest/"a key"="\\""#)
    #expect(host.perform(command: "kvp get OSName") == #"ok "De\"b\nian""#)
    #expect(host.perform(command: #"kvp get "a key""#) == #"ok "\\""#)
    #expect(host.perform(command: "kvp get nothing") == "error the guest has no key nothing")
    #expect(host.perform(command: "kvp addresses") == #"ok NetworkAddressIPv4="10.0.0.2""#)
    #expect(host.perform(command: "nic add none").hasPrefix("ok "))
    #expect(
      host.perform(command: "kvp addresses")
        == "ok nic=\(NetworkConfiguration.defaultAddress(0)) address=10.0.0.2 gateway=10.0.0.1 dhcp=yes")
    for guest in guests { guest.stop() }
    client.disconnect()
    host.stop()
  }

  private func device(_ client: VMBusClient, _ interfaceClass: GUID) throws -> ClientDevice {
    try #require(client.awaitDevice(class: interfaceClass, milliseconds: 10_000))
  }

  private static func answer(_ body: ICKeyValue) -> (ICKeyValue, ICStatus) {
    let pools: [UInt8: [ICKeyValuePair]] = [
      2: [
        ICKeyValuePair(key: "OSName", value: .text("De\"b\nian")),
        ICKeyValuePair(key: "NetworkAddressIPv4", value: .text("10.0.0.2")),
      ],
      1: [ICKeyValuePair(key: "a key", value: .text("\\"))],
    ]
    let pairs = pools[body.pool.rawValue] ?? []
    var answer = body
    switch body.operation {
    case .get(let pair):
      guard let found = pairs.first(where: { $0.key == pair.key }) else { return (body, .noMoreItems) }
      answer.operation = .get(found)
    case .enumerate(let index, _):
      guard index < pairs.count else { return (body, .noMoreItems) }
      answer.operation = .enumerate(index: index, pairs[Int(index)])
    case .getAddresses(var addresses):
      addresses.addresses = ["10.0.0.2"]
      addresses.gateways = ["10.0.0.1"]
      addresses.isDHCPEnabled = true
      answer.operation = .getAddresses(addresses)
    default: return (body, .failure)
    }
    return (answer, .success)
  }

  /// Commands over the socket, while the host ends.
  @Test func theHostTakesCommandsUntilItStops() throws {
    let host = try SyntheticHost(HostConfiguration(services: [.heartbeat]))
    let path = temporarySocketPath()
    try host.takeCommands(at: path)
    #expect(try HostControl.request(socket: path, command: "status").hasPrefix("ok guests=0"))
    #expect(try HostControl.request(socket: path, command: "nonsense").hasPrefix("error "))
    #expect(throws: SyntheticHostError.self) { try SyntheticHost(HostConfiguration()).takeCommands(at: path) }
    host.stop()
    #expect(throws: Errno.ENOENT) { _ = try HostControl.request(socket: path, command: "status") }
  }
}
