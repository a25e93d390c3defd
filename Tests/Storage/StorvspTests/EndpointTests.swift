import Block
import LinuxIO
import SCSI
import SharedMemory
import StorvscProtocol
@testable import Storvsp
import Synchronization
import Testing
import VMBusChannel
import VMBusProtocol
import WireBytes

@Suite struct EndpointTests {
  private func read10(_ lba: UInt32, _ count: UInt16 = 1) -> [UInt8] {
    [UInt8](zeroed: 10) { bytes in
      bytes.storeBE(UInt8(0x28), at: 0)
      bytes.storeBE(lba, at: 2)
      bytes.storeBE(count, at: 7)
    }
  }

  private func isReadable(_ descriptor: Int32) throws -> Bool {
    let epoll = try Epoll()
    try epoll.add(descriptor, token: 0)
    return epoll.wait(milliseconds: 0) > 0
  }

  /// Many commands that end in a random order: each is answered once, with its own data.
  @Test(arguments: [1, 7, 256]) func outOfOrder(_ depth: Int) throws {
    let disk = TestDisk(byteCount: 1 << 20, scrambleSeed: 42)
    for sector in 0..<256 { disk.store([UInt8](repeating: UInt8(sector), count: 512), at: UInt64(sector * 512)) }
    let guest = try TestGuest(try .with(disk) { $0.channelDepth = depth })
    guest.start()
    var expected: [UInt64: Int] = [:]
    for sector in 0..<256 {
      expected[guest.submit(read10(UInt32(sector)), in: 512, offset: sector * 1024 + 256)] = sector
    }
    guest.primary.endpoint.run()
    var order: [Int] = []
    while let answer = guest.primary.receive() {
      let found = expected.removeValue(forKey: answer.rawSpan.le64(at: 8))
      let sector = try #require(found)
      #expect(guest.result(answer).isGood)
      #expect(
        guest.region.slice.slice(at: sector * 1024 + 256, count: 512).bytes()
          == [UInt8](repeating: UInt8(sector), count: 512))
      order.append(sector)
    }
    #expect(expected.isEmpty)
    #expect(depth == 1 ? order == order.sorted() : order != order.sorted())
    // Nothing is written around the buffers.
    #expect(guest.region.slice.slice(at: 0, count: 256).bytes().allSatisfy { $0 == 0 })
  }

  /// A guest that reads no completions: requests wait in its ring, and nothing is lost.
  @Test func backPressure() throws {
    let disk = TestDisk(byteCount: 1 << 20)
    // 4 KiB of data: room for 46 completions.
    let guest = try TestGuest(try .with(disk), ringByteCount: 8192)
    guest.start()
    var sent = 0
    var received = 0
    let ready = [UInt8](zeroed: 64) { bytes in
      StorvscPacket.request(.executeSRB).store(into: &bytes)
      SCSIRequest(CommandDescriptorBlock([0, 0, 0, 0, 0, 0].rawSpan)!, lun: 0, direction: .none, dataByteCount: 0)
        .store(into: &bytes, version: .v6_2)
    }
    for _ in 0..<4 {
      while guest.primary.sendRaw(TestChannel.packet(type: 6, id: UInt64(sent), ready)) {
        sent += 1
        guest.primary.endpoint.run()
      }
      #expect(guest.primary.endpoint.fault == nil)
      #expect(sent - received == 46 + 46)
      // A notice has no room; it comes later.
      if received == 0 { try guest.controller.addDisk(lun: 3, device: disk) }
      guest.primary.endpoint.run()
      // The ring is full: the host has asked to be told of room.
      #expect(guest.primary.toGuest.slice.word32(at: 12).loadRelaxed() == 88)
      for _ in 0..<46 {
        let answer = try #require(guest.primary.receiveCompletion())
        #expect(answer.rawSpan.le64(at: 8) == UInt64(received))
        received += 1
      }
      guest.primary.endpoint.run()
    }
    while guest.primary.receiveCompletion() != nil {
      received += 1
      guest.primary.endpoint.run()
    }
    #expect(received == sent && guest.primary.noticeCount == 1)
    #expect(guest.primary.toGuest.slice.word32(at: 12).loadRelaxed() == 0)
  }

  /// Requests on a sub-channel wait for the end of the initialization.
  @Test func subChannelWaits() throws {
    let guest = try TestGuest(try .with(TestDisk(byteCount: 1 << 20)))
    guest.step(.beginInitialization)
    guest.step(.queryProtocolVersion, [2, 6])
    guest.step(.queryProperties)
    #expect(guest.step(.createSubChannels, [1, 0]).status == .success)
    let sub = try guest.openSubChannel(1)
    guest.submit(read10(0), in: 512, on: sub)
    #expect(!sub.endpoint.run() && sub.receive() == nil)
    #expect(try !isReadable(sub.endpoint.readinessDescriptor))
    guest.step(.endInitialization)
    #expect(try isReadable(sub.endpoint.readinessDescriptor))
    #expect(sub.endpoint.run())
    #expect(guest.result(try #require(sub.receive())).isGood)
    #expect(guest.run(read10(1), in: 512, on: sub).isGood)
    // Steps of the initialization have no place here; a reset has.
    #expect(guest.step(.beginInitialization, on: sub).status == .invalidDeviceState)
    #expect(guest.step(.createSubChannels, [1, 0], on: sub).status == .invalidDeviceState)
    #expect(guest.step(.enumerateBus, on: sub).status == .invalidDeviceRequest)
    #expect(guest.step(.resetBus, on: sub).status == .success)
    sub.endpoint.run()
    #expect(try !isReadable(sub.endpoint.readinessDescriptor))
    #expect(guest.controller.sessions[0].channelCount == 2)
    sub.endpoint.close()
    guest.primary.endpoint.close()
    #expect(guest.controller.sessions[0].channelCount == 0)
    #expect(guest.controller.sessions[0].statistics.reads == 2)
  }

  /// Closing waits for what is in flight, makes what was written durable, and answers nothing any more.
  @Test func closeInFlight() throws {
    let disk = TestDisk(byteCount: 1 << 20)
    let guest = try TestGuest(try .with(disk))
    guest.start()
    #expect(guest.run([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], out: [UInt8](repeating: 5, count: 512)).isGood)
    disk.isHeld.store(true, ordering: .releasing)
    disk.clearLog()
    for sector in 0..<5 { guest.submit(read10(UInt32(sector)), in: 512) }
    guest.primary.endpoint.run()
    #expect(guest.primary.receive() == nil)
    let releaser = try WorkerThread(name: "release") {
      sleepMilliseconds(60)
      disk.isHeld.store(false, ordering: .releasing)
    }
    let before = monotonicNanoseconds()
    guest.primary.endpoint.close()
    #expect(monotonicNanoseconds() - before > 40_000_000)
    releaser.join()
    #expect(guest.primary.receive() == nil)
    #expect(disk.log.map(\.operation) == [.read, .read, .read, .read, .read, .flush])
    #expect(disk.state.withLock { $0.closedQueueCount } == 1)
    guest.session.end()
  }

  /// No queue is left for a guest: it is told to come again.
  @Test func noQueue() throws {
    let disk = TestDisk(BlockDeviceInfo(byteCount: 1 << 20), maximumQueueCount: 1)
    let controller = try SCSIController.with(disk)
    let a = try TestGuest(controller, id: 1)
    let b = try TestGuest(controller, id: 2)
    a.start()
    b.start()
    #expect(a.run(read10(0), in: 512).isGood)
    let busy = b.run(read10(0), in: 512)
    #expect(busy.completion.srbStatus == .busy && busy.completion.scsiStatus == .busy && busy.header == .deviceBusy)
    a.primary.endpoint.close()
    #expect(b.run(read10(0), in: 512).isGood)
  }

  /// A disk that finishes nothing must not take the whole channel.
  @Test func stalledDisk() throws {
    let disk = TestDisk(byteCount: 1 << 20)
    let controller = try SCSIController.with(disk) { $0.channelDepth = 8 }
    try controller.addDisk(lun: 1, device: TestDisk(byteCount: 1 << 20))
    let guest = try TestGuest(controller)
    guest.start()
    disk.isHeld.store(true, ordering: .releasing)
    for _ in 0..<7 { guest.submit(read10(0), in: 512) }
    guest.primary.endpoint.run()
    #expect(guest.primary.receive() == nil)
    sleepMilliseconds(1100)
    guest.submit(read10(0), in: 512)
    guest.primary.endpoint.run()
    let answer = guest.result(try #require(guest.primary.receive()))
    #expect(answer.completion.srbStatus == .busy && answer.completion.scsiStatus == .taskSetFull)
    #expect(guest.run(read10(0), lun: 1, in: 512).isGood)
    disk.isHeld.store(false, ordering: .releasing)
    guest.primary.endpoint.run()
    for _ in 0..<7 { #expect(guest.result(try #require(guest.primary.receive())).isGood) }
  }
}

private func sleepMilliseconds(_ count: Int) {
  let end = monotonicNanoseconds() + UInt64(count) * 1_000_000
  while monotonicNanoseconds() < end {}
}
