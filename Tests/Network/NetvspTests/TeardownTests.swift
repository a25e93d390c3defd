import Ethernet
import NetvscProtocol
@testable import Netvsp
import Testing
import VMBusChannel
import WireBytes

/// What guests were seen to do at the end, and what overtakes what.
@Suite struct TeardownTests {
  func idle(_ guest: TestGuest) -> Bool {
    guest.lists.live(TestGuest.receiveList) == 0 && guest.lists.live(TestGuest.sendList) == 0
  }

  /// Linux: filter 0 or not, HALT, both buffers taken back, CLOSE; and again with the same lists.
  @Test(arguments: [true, false]) func orderly(setsFilter: Bool) throws {
    let guest = try TestGuest.make()
    for _ in 0..<3 {
      guest.start()
      guest.queue.arriving = [TestFrame(bytes: Frames.arp)]
      #expect(guest.receive().count == 1)
      if setsFilter { guest.setFilter([]) }
      guest.halt()
      #expect(guest.nvsp(.revokeReceiveBuffer(0xcafe), flags: 0).isEmpty)
      #expect(guest.lists.live(TestGuest.receiveList) == 0)
      #expect(guest.nvsp(.revokeSendBuffer(0), flags: 0).isEmpty)
      #expect(idle(guest) && guest.primary.endpoint.fault == nil)
      // Nothing more may come but answers to what is there.
      guest.queue.arriving = [TestFrame(bytes: Frames.arp)]
      guest.primary.endpoint.run()
      #expect(guest.primary.receive() == nil)
      guest.primary.endpoint.close()
      guest.primary = try TestChannel(guest.session, index: 0, ringByteCount: 65536)
    }
    guest.end()
    #expect(guest.nic.session == nil)
  }

  /// DPDK: filter 0, and CLOSE without a word, with messages in the ring that nobody has read.
  @Test func closeWithDataInTheRing() throws {
    let guest = try TestGuest.make()
    guest.start()
    let queue = guest.queue
    guest.sendSection(TestGuest.message(Frames.arp))
    guest.sendSection(TestGuest.message(Frames.arp), index: 1)
    guest.primary.endpoint.close()
    #expect(queue.sent.count == 2 && queue.isClosed && idle(guest))
    guest.primary = try TestChannel(guest.session, index: 0, ringByteCount: 65536)
    guest.start()
    guest.end()
    #expect(idle(guest))
  }

  /// GPADL_TEARDOWN overtakes the messages of the ring: they are served first, then the host lets go.
  @Test(arguments: [true, false]) func teardownOvertakes(wasRevoked: Bool) throws {
    let guest = try TestGuest.make()
    guest.start()
    guest.sendSection(TestGuest.message(Frames.arp))
    if wasRevoked {
      guest.primary.send(type: 6, id: 9, flags: 0, hex("67000000 feca0000 [32]"))
      guest.primary.send(type: 6, id: 9, flags: 0, hex("6a000000 [36]"))
    }
    guest.lists.revoke(TestGuest.receiveList)
    guest.lists.revoke(TestGuest.sendList)
    #expect(!idle(guest))
    guest.primary.endpoint.run()
    #expect(guest.queue.sent.count == 1)
    #expect(idle(guest) && guest.primary.endpoint.fault == nil)
    #expect(guest.sendStatuses().count == 1)
  }

  /// A buffer that is wanted back while the port has no room for a frame in it.
  @Test func teardownWhileBlocked() throws {
    let guest = try TestGuest.make()
    guest.start()
    guest.queue.room = 0
    guest.sendSection(TestGuest.message(Frames.arp))
    guest.primary.endpoint.run()
    guest.lists.revoke(TestGuest.sendList)
    guest.primary.endpoint.run()
    #expect(guest.lists.live(TestGuest.sendList) == 1)
    guest.queue.room = .max
    guest.primary.endpoint.run()
    #expect(guest.queue.sent.map(\.bytes) == [Frames.arp] && guest.lists.live(TestGuest.sendList) == 0)
  }

  /// A port that is gone takes everything and gives nothing.
  @Test func endedPort() throws {
    let guest = try TestGuest.make()
    guest.start()
    guest.queue.isEnded = true
    guest.queue.room = 0
    let id = guest.sendSection(TestGuest.message(Frames.arp))
    guest.primary.endpoint.run()
    #expect(guest.sendStatuses().keys.contains(id))
    guest.end()
  }

  /// Completions that come after the buffer was taken back are of no use, and no fault.
  @Test func lateCompletions() throws {
    let guest = try TestGuest.make()
    guest.start()
    guest.queue.arriving = [TestFrame(bytes: Frames.arp)]
    #expect(guest.receive(holds: true).count == 1)
    guest.halt()
    guest.nvsp(.revokeReceiveBuffer(0xcafe), flags: 0)
    guest.releaseHeld()
    #expect(guest.primary.endpoint.fault == nil)
  }
}
