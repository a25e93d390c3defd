import Support
import Testing
import VMBusClient
import VMBusProtocol
import WireBytes

/// The guest's state machine by itself.
@Suite struct ClientConnectionTests {
  func offer(_ relid: UInt32, instance: UInt64 = 1, index: UInt16 = 0) -> Message {
    .offer(
      ChannelOffer(
        interfaceClass: GUID(1, 0, 0, 0), instance: GUID(0, 0, 0, instance), subChannelIndex: index, relid: relid,
        connectionID: 7))
  }

  func connected() -> ClientConnection {
    var client = ClientConnection()
    _ = client.start()
    _ = client.receive(Message.versionResponse(.accepted(.v5_3, messageConnectionID: 9)).encoded())
    return client
  }

  func isDropped(_ actions: [ClientAction]) -> Bool {
    guard actions.count == 1, case .dropped = actions[0] else { return false }
    return true
  }

  @Test func goldenContact() {
    var client = ClientConnection()
    var first = [UInt8](repeating: 0, count: 40)
    first.replaceSubrange(0..<20, with: [14, 0, 0, 0, 0, 0, 0, 0, 3, 0, 5, 0, 0, 0, 0, 0, 2, 0, 0, 0])
    #expect(client.start() == [.send(first, connectionID: 4)])
    #expect(client.start().isEmpty)
    // The short answer of old hosts: supported, ok, no connection id.
    let answer = client.receive([15, 0, 0, 0, 0, 0, 0, 0, 1, 0])
    #expect(answer == [.connected(.v5_3), .send([3, 0, 0, 0, 0, 0, 0, 0], connectionID: 4)])
  }

  @Test func negotiatesDownwards() {
    var client = ClientConnection()
    var actions = client.start()
    for version in ProtocolVersion.offered {
      guard case .send(let bytes, let connectionID)? = actions.first else {
        Issue.record("nothing for \(version)")
        return
      }
      #expect(bytes.rawSpan.le32(at: 8) == version.rawValue)
      #expect(connectionID == (version >= .v5_0 ? 4 : 1))
      actions = client.receive(Message.versionResponse(.unsupported).encoded())
    }
    guard case .refused? = actions.first else {
      Issue.record("not refused")
      return
    }
    // A version that is supported but fails is no reason to try lower ones.
    client = ClientConnection()
    _ = client.start()
    guard case .refused? = client.receive(Message.versionResponse(.failed()).encoded()).first else {
      Issue.record("not refused")
      return
    }
  }

  @Test func offersAreChecked() {
    var client = connected()
    #expect(isDropped(client.receive(offer(0).encoded())))
    #expect(isDropped(client.receive(offer(2048).encoded())))
    #expect(isDropped(client.receive(offer(3, index: 1).encoded())))
    #expect(client.receive(offer(2).encoded()).count == 1)
    #expect(isDropped(client.receive(offer(2, instance: 5).encoded())))
    #expect(isDropped(client.receive(offer(3).encoded())))
    #expect(!isDropped(client.receive(offer(3, index: 1).encoded())))
    #expect(isDropped(client.receive(offer(4, index: 1).encoded())))
    #expect(client.receive(Message.allOffersDelivered.encoded()) == [.enumerated])
    #expect(isDropped(client.receive(Message.allOffersDelivered.encoded())))
    #expect(client.channels.count == 2)
  }

  @Test func answersCountWhileTheyAreAwaited() throws {
    var client = connected()
    _ = client.receive(offer(2).encoded())
    let created = Message.gpadlCreated(relid: 2, gpadl: 0xe1e10, status: .success).encoded()
    #expect(isDropped(client.receive(created)))
    let (gpadl, posts) = try client.createGPADL(relid: 2, ranges: [GPADLRange(pages: [1, 2, 3, 4])])
    #expect(gpadl == 0xe1e10 && posts.count == 1)
    #expect(client.tearDown(gpadl).isEmpty)
    #expect(isDropped(client.receive(Message.gpadlCreated(relid: 3, gpadl: gpadl, status: .success).encoded())))
    #expect(client.receive(created) == [.gpadlCreated(gpadl, status: .success)])
    #expect(isDropped(client.receive(created)))
    let result = Message.openChannelResult(relid: 2, openID: 1, status: .success).encoded()
    #expect(isDropped(client.receive(result)))
    #expect(client.open(relid: 2, ringGPADL: gpadl, downstreamPageOffset: 2).count == 1)
    #expect(client.open(relid: 2, ringGPADL: gpadl, downstreamPageOffset: 2).isEmpty)
    #expect(isDropped(client.receive(Message.openChannelResult(relid: 2, openID: 9, status: .success).encoded())))
    #expect(client.receive(result) == [.opened(relid: 2, status: .success)])
    #expect(client.close(relid: 2) == [.send([7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0], connectionID: 9)])
    #expect(client.close(relid: 2).isEmpty)
    #expect(client.tearDown(gpadl).count == 1)
    #expect(client.receive(Message.gpadlTorndown(gpadl: gpadl).encoded()) == [.gpadlTorndown(gpadl)])
    #expect(isDropped(client.receive(Message.gpadlTorndown(gpadl: gpadl).encoded())))
    #expect(isDropped(client.receive(Message.unloadComplete.encoded())))
    #expect(isDropped(client.receive(Message.versionResponse(.unsupported).encoded())))
  }

  @Test func rescinds() {
    var client = connected()
    #expect(isDropped(client.receive(Message.rescind(relid: 2).encoded())))
    _ = client.receive(offer(2).encoded())
    #expect(client.release(relid: 2).isEmpty)
    #expect(client.receive(Message.rescind(relid: 2).encoded()) == [.rescinded(relid: 2)])
    #expect(isDropped(client.receive(Message.rescind(relid: 2).encoded())))
    #expect(client.open(relid: 2, ringGPADL: 1, downstreamPageOffset: 2).isEmpty)
    // The same device under another relid, before the old one is given back.
    #expect(client.receive(offer(3).encoded()).count == 1)
    #expect(client.release(relid: 2) == [.send([13, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0], connectionID: 9)])
    #expect(client.release(relid: 2).isEmpty)
  }

  @Test(arguments: 0..<16) func randomHost(seed: Int) throws {
    var random = RandomNumbers(seed: UInt64(seed))
    var client = ClientConnection()
    _ = client.start()
    var gpadls: [UInt32] = []
    var told = 0
    for _ in 0..<5000 {
      let relid = UInt32(random.next() % 6)
      let gpadl = gpadls.last ?? 1
      let messages: [Message] = [
        .versionResponse(random.next() & 1 == 0 ? .accepted(.v5_3, messageConnectionID: 3) : .unsupported),
        offer(relid, instance: random.next() % 3, index: UInt16(random.next() % 3)), .rescind(relid: relid),
        .allOffersDelivered, .openChannelResult(relid: relid, openID: UInt32(random.next() % 9), status: .success),
        .gpadlCreated(relid: relid, gpadl: gpadl, status: .success), .gpadlTorndown(gpadl: gpadl), .unloadComplete,
      ]
      var bytes = messages[Int(random.next() % UInt64(messages.count))].encoded()
      if random.next() & 3 == 0 {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
        bytes = Array(bytes.prefix(Int(random.next() % 200)))
      }
      let actions = client.receive(bytes)
      if !isDropped(actions) { told += 1 }
      if random.next() & 3 == 0 {
        let (id, _) = try client.createGPADL(relid: relid, ranges: [GPADLRange(pages: [1, 2, 3, 4])])
        gpadls = [id]
        _ = client.open(relid: relid, ringGPADL: id, downstreamPageOffset: 2)
        _ = client.tearDown(id)
        _ = client.release(relid: relid)
        _ = client.close(relid: relid)
      }
      #expect(client.channels.count <= 2047)
      #expect(client.channels.allSatisfy { $0.key == $0.value.offer.relid && $0.key > 0 })
    }
    #expect(told > 0)
  }
}
