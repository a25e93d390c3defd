import LinuxIO
import SharedMemory
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusProtocol
import VMBusRing

@testable import VMBusUIO

/// The bus over a made-up kernel, whose UIO devices are /dev/zero: each mapping is memory of its own.
@Suite struct UIOBusTests {
  private let tree: SysfsTree
  private let events = Monitor<[String]>([])

  init() throws {
    tree = try SysfsTree()
    // Without a monitor id: behind the first page of /dev/zero there is nothing that could be written.
    try tree.add(controller, class: .scsi, relid: 9, driver: "uio_hv_generic")
    try tree.add(nic, class: .network, relid: 10, driver: "uio_hv_generic")
  }

  private func bus(_ change: (inout UIOBus.Settings) -> Void = { _ in }) throws -> UIOBus {
    var settings = UIOBus.Settings()
    settings.sysfs = tree.bus
    settings.deviceDirectory = tree.devices
    settings.instances = [controller, nic]
    settings.memoryByteCount = 2 << 20
    settings.loadModule = { _ in "no modules here" }
    let events = events
    settings.onEvent = { event in
      let line =
        switch event {
        case .arrived(let device): "arrived \(device.offer.relid)"
        case .removed(let device): "removed \(device.offer.relid) \(device.isLost)"
        case .gaveUp: "gave up"
        case .connected, .disconnected: "unexpected"
        }
      events.withLock { $0.append(line) }
    }
    change(&settings)
    return try UIOBus(settings: settings)
  }

  private func await(_ lines: [String]) -> Bool {
    events.wait(milliseconds: 5000) { $0 == lines ? true : nil } ?? false
  }

  @Test func onlyNamedDevicesAreUsed() throws {
    let bus = try bus { $0.instances = [nic] }
    defer { bus.disconnect() }
    #expect(bus.devices.map(\.offer.instance) == [nic])
    #expect(bus.awaitDevice(class: .scsi, instance: nil, milliseconds: 0) == nil)
    #expect(bus.awaitDevice(class: .network, instance: nil, milliseconds: 0)?.offer.relid == 10)
  }

  @Test func primaryChannel() throws {
    let bus = try bus()
    defer { bus.disconnect() }
    let device = try #require(bus.devices.first)
    #expect(device.offer.monitor == nil && device.offer.interfaceClass == .scsi && !device.isLost)
    let memory = try device.allocateMemory(byteCount: 3 * 4096)
    let address = try #require(device.memory.guestAddress(of: memory))
    let channel = try device.openPrimary(ringByteCount: 1 << 20)
    #expect(channel.relid == 9 && channel.maximumOutgoingByteCount < SysfsTree.ringByteCount)
    let payload = [UInt8](repeating: 0, count: 8)
    #expect(
      try channel.sendGPADirect(
        transactionID: 1, guestAddress: address, byteCount: memory.byteCount, payload: payload.rawSpan))
    // Memory that is not the pool's has no number.
    #expect(throws: ChannelError.self) {
      try channel.sendGPADirect(transactionID: 1, guestAddress: 0, byteCount: 1, payload: payload.rawSpan)
    }
    try channel.flush()
    #expect(channel.counters.doorbellsRung.value == 1)
    // /dev/zero always has an event.
    #expect(waitForInput([channel.waitDescriptor], milliseconds: 0) == 1)
    channel.acknowledgeSignal()
    #expect(!channel.isLost)
    device.freeMemory(memory)
    device.close()
  }

  @Test func announcedBuffersOfANIC() throws {
    let bus = try bus()
    defer { bus.disconnect() }
    let card = try #require(bus.awaitDevice(class: .network, instance: nic, milliseconds: 0))
    let receive = try card.allocateBuffer(.receive, byteCount: 100)
    let send = try card.allocateBuffer(.send, byteCount: 100)
    #expect(receive.byteCount == 1 << 20 && send.byteCount == 1 << 19)
    #expect(try card.createGPADL(receive) == 925200 && card.createGPADL(send) == 925201)
    #expect(throws: ChannelError.self) { try card.createGPADL(receive.dropFirst(4096)) }
    let address = try #require(card.memory.guestAddress(of: receive))
    // No packet may name it.
    let channel = try card.openPrimary(ringByteCount: 0)
    let payload = [UInt8](repeating: 0, count: 8)
    #expect(throws: ChannelError.self) {
      try channel.sendGPADirect(transactionID: 1, guestAddress: address, byteCount: 1, payload: payload.rawSpan)
    }
    card.freeMemory(receive)
    card.close()
    #expect(card.memory.guestAddress(of: receive) == nil)
    let again = try card.allocateBuffer(.receive, byteCount: 100)
    #expect(card.memory.guestAddress(of: again) != address)
    let disk = try #require(bus.awaitDevice(class: .scsi, instance: nil, milliseconds: 0))
    #expect(throws: ChannelError.self) { try disk.allocateBuffer(.receive, byteCount: 100) }
  }

  @Test func deviceThatIsOpenElsewhereIsBusy() throws {
    try tree.set("state", "3", of: controller)
    let bus = try bus()
    defer { bus.disconnect() }
    #expect {
      try bus.devices[0].openPrimary(ringByteCount: 0)
    } throws: { error in
      if case .system(_, .EBUSY)? = error as? ChannelError { true } else { false }
    }
  }

  @Test func rescindedAndOfferedAgain() throws {
    let bus = try bus { $0.reconnectMilliseconds = 60_000 }
    defer { bus.disconnect() }
    let device = try #require(bus.devices.first)
    let channel = try device.openPrimary(ringByteCount: 0)
    tree.remove(controller)
    #expect(self.await(["removed 9 true"]))
    #expect(channel.isLost && device.isLost && bus.devices.map(\.offer.instance) == [nic])
    device.close()
    // It comes up at the driver of its class.
    try tree.add(controller, class: .scsi, relid: 31, monitor: 37, driver: "hv_storvsc")
    #expect(self.await(["removed 9 true", "arrived 31"]))
    #expect(tree.driver(of: controller) == "uio_hv_generic")
    let again = try #require(bus.awaitDevice(class: .scsi, instance: controller, milliseconds: 0))
    #expect(again !== device && !again.isLost)
    _ = try again.openPrimary(ringByteCount: 0)
  }

  @Test func waitingForADeviceEnds() throws {
    let bus = try bus { $0.reconnectMilliseconds = 1 }
    defer { bus.disconnect() }
    tree.remove(nic)
    #expect(self.await(["removed 10 true", "gave up"]))
  }

  @Test func subChannels() throws {
    let disk = GUID("1a2b3c4d-0000-4000-8000-000000000077")!
    try tree.add(disk, class: .scsi, relid: 11, monitor: 4, driver: "uio_hv_generic")
    let bus = try bus { $0.instances = [disk] }
    defer { bus.disconnect() }
    let device = try #require(bus.devices.first)
    _ = try device.openPrimary(ringByteCount: 0)
    #expect(device.maximumSubChannelCount == .max)
    #expect(try device.openSubChannels(1, ringByteCount: 0, milliseconds: 20).isEmpty)
    try tree.addChannel(20, of: disk, index: 1, monitor: 40)
    try tree.addChannel(21, of: disk, index: 2, monitor: 41)
    #expect(try device.openSubChannels(3, ringByteCount: 0, milliseconds: 20).map(\.relid) == [20, 21])
    // One that is offered and not open is left out; the monitor page signals the others.
    try tree.addChannel(22, of: disk, index: 3, monitor: 42, isOpen: false)
    #expect(try device.openSubChannels(3, ringByteCount: 0, milliseconds: 20).map(\.relid) == [20, 21])
    #expect(!device.isLost)
    // Without a monitor id it needs a kernel whose write clears the mask of every channel, which /dev/zero does not.
    tree.removeChannel(22, of: disk)
    try tree.addChannel(23, of: disk, index: 3)
    #expect(try device.openSubChannels(3, ringByteCount: 0, milliseconds: 1000).map(\.relid) == [20, 21])
  }

  @Test func nothingIsSignalledPastAnUnopenedSubChannel() throws {
    let bus = try bus()
    defer { bus.disconnect() }
    let device = try #require(bus.devices.first)
    let channel = try device.openPrimary(ringByteCount: 0)
    #expect(device.maximumSubChannelCount == 0)
    try tree.addChannel(20, of: controller, index: 1, isOpen: false)
    #expect {
      try device.openSubChannels(1, ringByteCount: 0, milliseconds: 20)
    } throws: { error in
      if case .system(_, .ENOMEM)? = error as? ChannelError { true } else { false }
    }
    #expect(device.isLost && channel.isLost)
    // The next user finds it still there.
    device.close()
    #expect(throws: ChannelError.self) { try bus.devices[0].openPrimary(ringByteCount: 0) }
  }

  @Test func doorbellKeepsTheMask() throws {
    let region = try MemoryRegion(anonymous: 4096)
    let mask = region.slice.word32(at: RingLayout.interruptMask)
    let path = tree.devices + "/zero"
    try DeviceNumber(major: 1, minor: 5).makeCharacterDevice(at: path)
    let doorbell = UIODoorbell(try UIOFile(path: path), interruptMask: mask)
    mask.storeReleasing(1)
    doorbell.ring()
    #expect(mask.loadRelaxed() == 1 && doorbell.wakesPeer)
    mask.storeReleasing(0)
    doorbell.ring()
    #expect(mask.loadRelaxed() == 0)
  }

  @Test func deviceNodes() throws {
    let uio = try #require(tree.bus.device(controller)?.uio)
    let path = try UIONode.path(of: uio, in: tree.devices, milliseconds: 10)
    #expect(path == tree.devices + "/uio0")
    #expect(try DeviceNumber.ofCharacterDevice(path) == DeviceNumber(major: 1, minor: 5))
    #expect(try UIONode.path(of: uio, in: tree.devices, milliseconds: 10) == path)
    // What stands for another device is not opened.
    removeTree(path)
    try DeviceNumber(major: 1, minor: 3).makeCharacterDevice(at: path)
    #expect(throws: ChannelError.self) { try UIONode.path(of: uio, in: tree.devices, milliseconds: 10) }
  }
}
