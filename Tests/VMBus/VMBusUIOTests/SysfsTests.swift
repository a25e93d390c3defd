import LinuxIO
import Support
import Testing
import VMBusProtocol

@testable import VMBusUIO

let controller = GUID("1a2b3c4d-0000-4000-8000-000000000001")!
let nic = GUID("9f8e7d6c-0000-4000-8000-000000000002")!

extension SysfsTree {
  var bus: SysfsBus { SysfsBus(root: root, store: { path, text throws(Errno) in try self.store(path, text) }) }
}

/// What sysfs shows of the bus.
@Suite struct SysfsTests {
  @Test func devicesAreFound() throws {
    let tree = try SysfsTree()
    try tree.add(nic, class: .network, relid: 14, monitor: 3, driver: "uio_hv_generic")
    try tree.add(controller, class: .scsi, relid: 9, driver: "hv_storvsc")
    try tree.addChannel(20, of: nic, index: 1, monitor: 5)
    try tree.addChannel(21, of: nic, index: 2, isOpen: false)
    try tree.set("state", "3", of: nic)
    let bus = tree.bus
    #expect(bus.isPresent && bus.hasDriver("hv_netvsc") && !bus.hasDriver("hv_balloon"))
    let devices = bus.devices()
    #expect(devices.map(\.instance) == [controller, nic])
    let disk = devices[0]
    #expect(disk.interfaceClass == .scsi && disk.relid == 9 && disk.monitor == nil && disk.driver == "hv_storvsc")
    #expect(disk.name == "scsi-1a2b3c4d" && !disk.isAttached && !disk.isOpen && disk.uio == nil)
    #expect(disk.driverOverride == nil && disk.channels.map(\.relid) == [9] && disk.channels[0].ringPath == nil)
    let card = devices[1]
    #expect(card.name == "nic-9f8e7d6c" && card.isAttached && card.isOpen && card.monitor == 3)
    #expect(card.channels.map(\.subChannelIndex) == [0, 1, 2] && card.channels[1].monitor == 5)
    #expect(card.channels.map(\.hasRings) == [false, true, false])
    #expect(card.channels[1].ringPath?.hasSuffix("/channels/20/ring") == true)
    let uio = try #require(card.uio)
    #expect(uio.name == "uio0" && uio.number == DeviceNumber(major: 1, minor: 5))
    #expect(uio.rings?.byteCount == 2 * SysfsTree.ringByteCount && uio.monitorPage?.index == 2)
    #expect(uio.receiveBuffer?.gpadl == 925200 && uio.sendBuffer?.gpadl == 925201 && uio.rings?.gpadl == nil)
  }

  @Test func noBus() {
    let bus = SysfsBus(root: "/nonexistent")
    #expect(!bus.isPresent && bus.devices().isEmpty && bus.device(controller) == nil && !bus.hasDriver("x"))
  }

  @Test func nonsenseIsLeftOut() throws {
    let tree = try SysfsTree()
    try tree.add(controller, class: .scsi, relid: 9, monitor: 1, driver: "uio_hv_generic")
    try makeDirectories(tree.root + "/devices/vmbus/junk")
    try makeLink("../../../devices/vmbus/junk", at: tree.root + "/bus/vmbus/devices/junk")
    try makeLink("nowhere", at: tree.root + "/bus/vmbus/devices/dangling")
    #expect(tree.bus.devices().count == 1)
    // 255 is no monitor id, and a map may not claim the whole address space.
    try tree.set("monitor_id", "255", of: controller)
    try tree.set("uio/uio0/maps/map0/size", "0xffffffffffffffff", of: controller)
    try tree.set("uio/uio0/maps/map2/size", "many", of: controller)
    let device = try #require(tree.bus.device(controller))
    #expect(device.monitor == nil && device.uio?.rings == nil && device.uio?.monitorPage == nil)
    for relid in ["", "-1", "4294967296", "0x1g"] {
      try tree.set("id", relid, of: controller)
      #expect(tree.bus.device(controller) == nil)
    }
  }

  @Test(arguments: [
    ("6.1.0-37-amd64", 6, 1, 0), ("6.12.95+deb12-amd64", 6, 12, 95), ("5.15.0-1089-azure", 5, 15, 0),
    ("6.18-rc3", 6, 18, 0), ("10.2.3", 10, 2, 3),
  ])
  func kernelVersions(release: String, major: Int, minor: Int, patch: Int) {
    #expect(KernelVersion(release) == KernelVersion(major, minor, patch))
  }

  @Test func kernelsThatSignalWithoutMonitor() {
    #expect(!KernelVersion(6, 9, 12).signalsWithoutMonitor && KernelVersion(6, 10).signalsWithoutMonitor)
    #expect(!KernelVersion(5, 15).signalsWithoutMonitor && KernelVersion(7, 0).signalsWithoutMonitor)
    #expect(KernelVersion("") == nil && KernelVersion("linux") == nil && KernelVersion.running != nil)
  }
}
