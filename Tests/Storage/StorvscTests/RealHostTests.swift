import Block
import LinuxIO
import SharedMemory
@testable import Storvsc
import Storvsp
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import VMBusServer

/// The driver against the project's own host end, over the whole bus.
@Suite struct RealHostTests {
  final class Bus {
    let server = VMBusServer()
    let client: VMBusClient
    let device: MemoryBlockDevice
    let scsi: SCSIController
    private(set) var key: DeviceKey
    let controller: StorvscController

    init(embedded: Bool, subChannels: Int = 2, inlineOptions: (inout StorvscOptions) -> Void = { _ in }) throws {
      device = try MemoryBlockDevice(byteCount: 1 << 20)
      var hostOptions = SCSIControllerOptions()
      hostOptions.maximumSubChannelCount = subChannels
      scsi = SCSIController(instance: GUID("11111111-2222-3333-4444-555555555555")!, options: hostOptions)
      try scsi.addDisk(lun: 0, device: device)
      key = server.add(scsi)
      let transport: any BusTransport
      if embedded {
        transport = server.embeddedTransport()
      } else {
        let path = "/tmp/storvsc-\(monotonicNanoseconds()).sock"
        try server.listen(at: path)
        transport = SocketTransport(path: path)
      }
      client = try VMBusClient(transport: transport)
      try client.connect()
      guard let found = client.awaitDevice(class: .scsi, milliseconds: 10_000) else { throw ChannelError.lost }
      var options = StorvscOptions()
      inlineOptions(&options)
      controller = try StorvscController(device: found, options: options)
    }

    /// Takes the controller away from the guest, and offers it again.
    func replug() throws -> ClientDevice {
      server.remove(key)
      for _ in 0..<1000 where !controller.isHostGone { _ = try Epoll().wait(milliseconds: 5) }
      // The host offers the controller again only when the guest has let go of the old channels.
      try controller.detach()
      key = server.add(scsi)
      guard let found = client.awaitDevice(class: .scsi, milliseconds: 10_000) else { throw ChannelError.lost }
      return found
    }

    deinit {
      controller.close()
      client.disconnect()
      server.stop()
    }
  }

  @Test(arguments: [true, false]) func anyAlignmentMatchesAModel(_ embedded: Bool) throws {
    let bus = try Bus(embedded: embedded)
    #expect(bus.controller.channelCount == 3 && bus.controller.disks.count == 1)
    let disk = bus.controller.disks[0]
    let owner = try Owner(disk)
    let memory = try disk.allocateMemory(byteCount: 1 << 20)
    var random = Random(state: 4711)
    var model = [UInt8](repeating: 0, count: 1 << 20)
    for _ in 0..<400 {
      let count = random.below(3) == 0 ? random.below(400_000) + 1 : random.below(9000) + 1
      let offset = random.below((1 << 20) - count)
      let slice = memory.slice(at: random.below((1 << 20) - count), count: count)
      switch random.below(5) {
      case 0, 1:
        let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        slice.copyIn(bytes.rawSpan)
        let flags: BlockRequest.Flags = random.below(4) == 0 ? .forceUnitAccess : []
        #expect(owner.run(.write, offset, [slice], flags: flags) == nil)
        model.replaceSubrange(offset..<(offset + count), with: bytes)
      case 2:
        #expect(owner.run(.writeZeroes, offset, byteCount: count) == nil)
        for byte in offset..<(offset + count) { model[byte] = 0 }
      case 3: #expect(owner.run(.flush) == nil)
      default:
        slice.fill(1)
        #expect(owner.run(.read, offset, [slice]) == nil)
        #expect(slice.bytes() == Array(model[offset..<(offset + count)]))
      }
    }
    #expect(bus.device.contents.bytes() == model)
    owner.queue.close()
  }

  /// A channel that is lost again before the owner of the queue has looked at it is let go of all the same.
  @Test(arguments: [true, false]) func lostBeforeTheOwnerLooked(_ embedded: Bool) throws {
    let bus = try Bus(embedded: embedded)
    let owner = try Owner(bus.controller.disks[0])
    let memory = try bus.controller.disks[0].allocateMemory(byteCount: 4096)
    #expect(owner.run(.read, 0, [memory]) == nil)
    let carrier = Carrier(bus: bus)
    let found = Mutex<ClientDevice?>(nil)
    try turning(owner) { found.withLock { $0 = try? carrier.bus.replug() } }
    // Nobody looks at the queue between these two.
    try bus.controller.reattach(device: try #require(found.withLock { $0 }))
    let start = monotonicNanoseconds()
    try turning(owner, after: 200) {
      do { try carrier.bus.controller.detach() } catch { Issue.record("\(error)") }
    }
    #expect(monotonicNanoseconds() - start < 30_000_000_000)
  }

  /// Runs `body` on a thread of its own, while the owner looks at its queue, from `milliseconds` on.
  private func turning(
    _ owner: Owner, after milliseconds: Int = 0, _ body: @escaping @Sendable () -> Void
  ) throws {
    let flag = ScriptedDevice.StopFlag()
    let thread = try WorkerThread(name: "control") {
      body()
      flag.value.store(true, ordering: .releasing)
    }
    sleepThread(nanoseconds: milliseconds * 1_000_000)
    while !flag.value.load(ordering: .acquiring) {
      if !owner.turn() { _ = try Epoll().wait(milliseconds: 1) }
    }
    thread.join()
  }

  @Test(arguments: [true, false]) func survivesTheLossOfTheController(_ embedded: Bool) throws {
    let bus = try Bus(embedded: embedded)
    let disk = bus.controller.disks[0]
    let owner = try Owner(disk)
    let memory = try disk.allocateMemory(byteCount: 1 << 20)
    for round in 0..<4 {
      for tag in 0..<16 {
        let slice = memory.slice(at: tag * 4096, count: 4000)
        slice.fill(UInt8(tag + round + 1))
        owner.submit(.write, tag: UInt32(tag), tag * 8192 + tag % 2, [slice])
      }
      owner.queue.flushSubmissions()
      let carrier = Carrier(bus: bus)
      let flag = ScriptedDevice.StopFlag()
      let thread = try WorkerThread(name: "control") {
        do { try carrier.bus.controller.reattach(device: carrier.bus.replug()) } catch { Issue.record("\(error)") }
        flag.value.store(true, ordering: .releasing)
      }
      while !flag.value.load(ordering: .acquiring) {
        if !owner.turn() { _ = try Epoll().wait(milliseconds: 1) }
      }
      thread.join()
      let done = owner.wait(16)
      #expect(done.count == 16 && done.allSatisfy { $0.error == nil })
      for tag in 0..<16 {
        let bytes = bus.device.contents.slice(at: tag * 8192 + tag % 2, count: 4000).bytes()
        #expect(bytes.allSatisfy { $0 == UInt8(tag + round + 1) })
      }
    }
    owner.queue.close()
  }

  @Test func hotPlugAndResize() throws {
    let bus = try Bus(embedded: true)
    let owner = try Owner(bus.controller.disks[0])
    bus.device.setInfo { $0.byteCount = 1 << 19 }
    try bus.scsi.diskResized(lun: 0)
    #expect(owner.run(.flush) == nil)
    for _ in 0..<100 where bus.controller.disks[0].info.byteCount != 1 << 19 { owner.turn() }
    #expect(bus.controller.disks[0].info.byteCount == 1 << 19)
    try bus.scsi.addDisk(lun: 4, device: MemoryBlockDevice(byteCount: 1 << 16))
    #expect(try bus.controller.rescan())
    #expect(bus.controller.disks.map(\.lun) == [0, 4])
    try bus.scsi.removeDisk(lun: 0)
    #expect(owner.run(.flush) == .gone)
    owner.queue.close()
  }

  // Sendable, because the test's thread uses only the queue meanwhile.
  struct Carrier: @unchecked Sendable {
    let bus: Bus
  }
}
