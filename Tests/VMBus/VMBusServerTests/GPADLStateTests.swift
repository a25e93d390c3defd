import Testing
import VMBusProtocol
import VMBusServer

/// The states of page lists, and their bounds.
@Suite struct GPADLStateTests {
  let talk = Conversation()
  let relid: UInt32

  init() throws {
    relid = try #require(talk.connect().first)
  }

  func created(_ gpadl: UInt32, _ status: MessageStatus = .success) -> Message {
    .gpadlCreated(relid: relid, gpadl: gpadl, status: status)
  }

  @Test func lists() throws {
    #expect(try talk.announce(1, relid: relid, pages: 26) == [created(1)])
    #expect(try talk.announce(2, relid: relid, pages: 8190) == [created(2)])
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 1)) == [.gpadlTorndown(gpadl: 1)])
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 1)).isEmpty)
    #expect(try talk.announce(1, relid: relid) == [created(1)])
  }

  @Test func refusals() throws {
    _ = try talk.announce(1, relid: relid)
    // A number that is taken, none, pages that do not exist: GPADL_CREATED with a failure.
    #expect(try talk.announce(1, relid: relid) == [created(1, .unspecifiedFailure)])
    #expect(try talk.announce(0, relid: relid) == [created(0, .unspecifiedFailure)])
    #expect(try talk.announce(2, relid: relid, first: 0xfff9) == [created(2, .unspecifiedFailure)])
    for header in [
      GPADLHeader(relid: relid, gpadl: 3, rangeByteCount: 16, rangeCount: 0, words: [4096, 0x100]),
      GPADLHeader(relid: relid, gpadl: 3, rangeByteCount: 12, rangeCount: 1, words: [4096]),
      GPADLHeader(relid: relid, gpadl: 3, rangeByteCount: 16, rangeCount: 2, words: [4096, 0x100]),
      GPADLHeader(relid: relid, gpadl: 3, rangeByteCount: 16, rangeCount: 1, words: [8192, 0x100]),
      GPADLHeader(relid: relid, gpadl: 3, rangeByteCount: 16, rangeCount: 1, words: [0, 0x100]),
      GPADLHeader(relid: relid, gpadl: 3, rangeByteCount: 24, rangeCount: 1, words: [4096, 0x100, 0x101]),
    ] {
      #expect(talk.post(.gpadlHeader(header)) == [created(3, .unspecifiedFailure)])
    }
    #expect(
      talk.post(.gpadlHeader(GPADLHeader(relid: 99, gpadl: 4, rangeByteCount: 16, rangeCount: 1, words: []))).isEmpty)
  }

  @Test func bodies() throws {
    let header = GPADLHeader(relid: relid, gpadl: 3, rangeByteCount: 24, rangeCount: 1, words: [8192])
    #expect(talk.post(.gpadlHeader(header)).isEmpty)
    // Not accepted yet: neither to be opened nor torn down.
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 3)).isEmpty)
    #expect(talk.post(.gpadlBody(GPADLBody(gpadl: 3, words: []))) == [created(3, .unspecifiedFailure)])
    #expect(talk.post(.gpadlBody(GPADLBody(gpadl: 3, words: [0x100, 0x101]))).isEmpty)
    #expect(talk.post(.gpadlHeader(header)).isEmpty)
    #expect(talk.post(.gpadlBody(GPADLBody(gpadl: 3, words: [0x100]))).isEmpty)
    #expect(talk.post(.gpadlBody(GPADLBody(gpadl: 3, words: [0x101, 0xdead]))) == [created(3)])
    #expect(talk.post(.gpadlBody(GPADLBody(gpadl: 3, words: [0x101]))).isEmpty)
  }

  @Test func teardownWaitsForTheRings() throws {
    try talk.bring(relid, to: .open)
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 50)).isEmpty)
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 50)).isEmpty)
    #expect(talk.post(.closeChannel(relid: relid)).isEmpty)
    #expect(talk.closed() == [.gpadlTorndown(gpadl: 50)])
  }

  @Test func rescindedChannels() throws {
    try talk.bring(relid, to: .revoked)
    #expect(try talk.announce(51, relid: relid) == [created(51)])
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 51)) == [.gpadlTorndown(gpadl: 51)])
    // REL_ID_RELEASED ends all others.
    #expect(talk.post(.relidReleased(relid: relid)).isEmpty)
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 50)).isEmpty)
  }

  @Test func bounds() throws {
    var limits = ServerLimits()
    limits.gpadlCount = 3
    limits.gpadlPageCount = 40
    let talk = Conversation(limits: limits)
    let relid = try #require(talk.connect().first)
    #expect(try talk.announce(1, relid: relid, pages: 20) == [created(1)])
    #expect(try talk.announce(2, relid: relid, pages: 20) == [created(2, .unspecifiedFailure)])
    #expect(try talk.announce(3, relid: relid, pages: 2) == [created(3)])
    #expect(try talk.announce(4, relid: relid, pages: 2) == [created(4)])
    #expect(try talk.announce(5, relid: relid, pages: 2) == [created(5, .unspecifiedFailure)])
    _ = talk.post(.gpadlTeardown(relid: relid, gpadl: 1))
    #expect(try talk.announce(5, relid: relid, pages: 20) == [created(5)])
    #expect(talk.contact().count == 1)
    _ = talk.post(.requestOffers)
    #expect(try talk.announce(6, relid: relid, pages: 30) == [created(6)])
  }

  /// Pages come back once no device has the list mapped, and no end uses it as rings.
  @Test func teardownWaitsForTheDevice() throws {
    talk.holdsMappings = true
    try talk.bring(relid, to: .open)
    _ = try talk.announce(7, relid: relid)
    let list = try #require(talk.published.values.first { $0.gpadl == 7 })
    #expect(list.device == .make(1) && list.ranges.count == 1)
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 7)).isEmpty)
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 7)).isEmpty)
    #expect(talk.held == [list.key])
    talk.note(talk.connection.withdrawn(GPADLKey(number: 9999)))
    #expect(talk.take().isEmpty)
    talk.note(talk.connection.withdrawn(list.key))
    #expect(talk.take() == [.gpadlTorndown(gpadl: 7)])
    talk.note(talk.connection.withdrawn(list.key))
    #expect(talk.take().isEmpty)
    // Rings: both must have happened, in any order.
    let rings = try #require(talk.published.values.first { $0.gpadl == 50 })
    #expect(talk.post(.gpadlTeardown(relid: relid, gpadl: 50)).isEmpty)
    talk.note(talk.connection.withdrawn(rings.key))
    #expect(talk.take().isEmpty)
    #expect(talk.post(.closeChannel(relid: relid)).isEmpty)
    #expect(talk.closed() == [.gpadlTorndown(gpadl: 50)])
    #expect(talk.published.isEmpty)
  }

  /// Lists that end with the relid, or with the connection, are withdrawn; a late report is for nobody.
  @Test func listsEndWithTheConnection() throws {
    talk.holdsMappings = true
    _ = try talk.announce(1, relid: relid)
    _ = talk.contact()
    #expect(talk.published.isEmpty && talk.held.count == 1)
    let relids = talk.post(.requestOffers).compactMap { $0.asOffer?.relid }
    let again = try #require(relids.first)
    _ = try talk.announce(1, relid: again)
    talk.note(talk.connection.withdrawn(talk.held[0]))
    #expect(talk.take().isEmpty)
    #expect(talk.published.count == 1)
    #expect(talk.post(.relidReleased(relid: again)).isEmpty)
    #expect(talk.published.isEmpty)
  }
}
