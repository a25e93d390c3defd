import TestVectors
import Testing
import VMBusProtocol
import WireBytes

@Suite struct GPADLTests {
  /// The list that a guest announces with `messages`, as the host puts it together from their bytes.
  private func assemble(_ messages: [Message]) throws -> [GPADLRange] {
    var assembler: GPADLAssembler?
    for message in messages {
      switch try parse(message.encoded()) {
      case .gpadlHeader(let header): assembler = try GPADLAssembler(header: header)
      case .gpadlBody(let body): try assembler?.append(body: body)
      default: Issue.record("not a GPADL message")
      }
    }
    return try #require(assembler).ranges()
  }

  @Test func goldenListsV15ToV18() throws {
    let list40 = [GPADLRange(pages: Array(0x200...0x227))]
    let two = [
      GPADLRange(byteCount: 0x1800, byteOffset: 0x800, pages: [0x300, 0x301]),
      GPADLRange(byteCount: 0x10, byteOffset: 0xff8, pages: [0x400, 0x7ff]),
    ]
    let lists: [(UInt32, [GPADLRange], [[UInt8]])] = [
      (0xe1e10, [GPADLRange(pages: [0x100, 0x101, 0x102])], [Golden.v15]),
      (0xe1e11, list40, [Golden.v16, Golden.v17]),
      (0xe1e12, two, [Golden.v18]),
    ]
    for (gpadl, ranges, bytes) in lists {
      let messages = try GPADLDescription.messages(relid: 5, gpadl: gpadl, ranges: ranges)
      #expect(messages.map { $0.encoded() } == bytes)
      #expect(try assemble(messages) == ranges)
    }
  }

  /// B8.
  @Test(arguments: [(26, 1), (27, 2), (40, 2), (54, 2), (55, 3), (1024, 37), (7936, 284), (8190, 293)])
  func messageCounts(pages: Int, messages count: Int) throws {
    let ranges = [GPADLRange(pages: (0..<UInt64(pages)).map { $0 * 3 })]
    let messages = try GPADLDescription.messages(relid: 1, gpadl: 2, ranges: ranges)
    #expect(messages.count == count)
    #expect(try assemble(messages) == ranges)
  }

  @Test func inconsistentListsAreNotSent() {
    func messages(_ ranges: [GPADLRange]) throws(GPADLError) -> [Message] {
      try GPADLDescription.messages(relid: 1, gpadl: 2, ranges: ranges)
    }
    #expect(throws: GPADLError.noRanges) { try messages([]) }
    #expect(throws: GPADLError.tooLarge(byteCount: 65536)) {
      try messages([GPADLRange(pages: Array(repeating: 1, count: 8191))])
    }
    #expect(GPADLDescription.maximumPageCount == 8190)
    #expect(throws: GPADLError.emptyRange(index: 0)) { try messages([GPADLRange(byteCount: 0, pages: [])]) }
    #expect(throws: GPADLError.byteOffset(index: 1, 4096)) {
      try messages([GPADLRange(pages: [1]), GPADLRange(byteCount: 1, byteOffset: 4096, pages: [1, 2])])
    }
    #expect(throws: GPADLError.pageCount(index: 0, needs: 2, has: 1)) {
      try messages([GPADLRange(byteCount: 4097, pages: [1])])
    }
  }

  private func header(_ byteCount: UInt16, _ rangeCount: UInt16, _ words: [UInt64]) -> GPADLHeader {
    GPADLHeader(relid: 1, gpadl: 2, rangeByteCount: byteCount, rangeCount: rangeCount, words: words)
  }

  private func ranges(_ byteCount: UInt16, _ rangeCount: UInt16, _ words: [UInt64]) throws(GPADLError) -> [GPADLRange] {
    try GPADLAssembler(header: header(byteCount, rangeCount, words)).ranges()
  }

  @Test func hostileHeadersAreRefused() {
    #expect(throws: GPADLError.noRanges) { try ranges(16, 0, [4096, 1]) }
    #expect(throws: GPADLError.announcedLength(byteCount: 20, rangeCount: 1)) { try ranges(20, 1, [4096, 1]) }
    #expect(throws: GPADLError.announcedLength(byteCount: 24, rangeCount: 2)) { try ranges(24, 2, [4096, 1, 2]) }
    #expect(throws: GPADLError.incomplete(missingByteCount: 8)) { try ranges(24, 1, [8192, 1]) }
    #expect(throws: GPADLError.emptyRange(index: 0)) { try ranges(16, 1, [0, 1]) }
    #expect(throws: GPADLError.byteOffset(index: 0, 0x1000)) { try ranges(16, 1, [0x1000_0000_0001, 1]) }
    #expect(throws: GPADLError.pageCount(index: 0, needs: 1_048_577, has: 1)) {
      try ranges(16, 1, [0xfff_ffff_ffff, 1])
    }
    #expect(throws: GPADLError.surplus(byteCount: 8)) { try ranges(24, 1, [4096, 1, 2]) }
    #expect(throws: GPADLError.pageCount(index: 1, needs: 1, has: 0)) { try ranges(32, 2, [12288, 1, 2, 3]) }
  }

  @Test func hostileBodiesAreRefusedAndSurplusIgnored() throws {
    var assembler = try GPADLAssembler(header: header(24, 1, [8192, 1]))
    #expect(throws: GPADLError.otherGPADL(expected: 2, found: 3)) {
      try assembler.append(body: GPADLBody(gpadl: 3, words: [2]))
    }
    #expect(throws: GPADLError.emptyBody) { try assembler.append(body: GPADLBody(gpadl: 2, words: [])) }
    #expect(!assembler.isComplete)
    try assembler.append(body: GPADLBody(gpadl: 2, words: [2, 99, 98]))
    #expect(assembler.isComplete)
    #expect(try assembler.ranges() == [GPADLRange(pages: [1, 2])])
    #expect(throws: GPADLError.alreadyComplete) { try assembler.append(body: GPADLBody(gpadl: 2, words: [3])) }
  }

  /// B9.
  @Test func pageSpans() {
    #expect(GPADLRange.pageCount(byteCount: 0x1400, byteOffset: 0xe00) == 3)
    #expect(GPADLRange.pageCount(byteCount: 1, byteOffset: 0xfff) == 1)
    #expect(GPADLRange.pageCount(byteCount: 2, byteOffset: 0xfff) == 2)
    #expect(GPADLRange.pageCount(byteCount: .max, byteOffset: 0xfff) == 1_048_577)
  }

  @Test func ringPairsAreCutStrictly() throws {
    let pages = Array(UInt64(10)..<18)
    let pair = try RingPairPages(ranges: [GPADLRange(pages: pages)], downstreamPageOffset: 3)
    #expect(pair.upstream == [10, 11, 12] && pair.downstream == [13, 14, 15, 16, 17])
    for offset in [0, 1, 7, 8, 9, .max] as [UInt32] {
      #expect(throws: GPADLError.downstreamOffset(offset, pageCount: 8)) {
        try RingPairPages(ranges: [GPADLRange(pages: pages)], downstreamPageOffset: offset)
      }
    }
    let wrong = [
      [], [GPADLRange(pages: pages), GPADLRange(pages: pages)],
      [GPADLRange(byteCount: 4096, byteOffset: 8, pages: [1, 2])], [GPADLRange(byteCount: 100, pages: [1])],
    ]
    for ranges in wrong {
      #expect(throws: GPADLError.notARing) { try RingPairPages(ranges: ranges, downstreamPageOffset: 2) }
    }
  }

  @Test func mutatedListsNeverTrapAndWhatIsAcceptedIsConsistent() throws {
    var random = SeededGenerator(seed: 2)
    let seeds = [[Golden.v15], [Golden.v16, Golden.v17], [Golden.v18]]
    var accepted = 0
    for round in 0..<5000 {
      var assembler: GPADLAssembler?
      for bytes in seeds[round % 3] {
        switch try? parse(
          round % 2 == 0 ? random.mutation(of: bytes) : bytes.map { $0 ^ (random.next() % 40 == 0 ? 1 : 0) })
        {
        case .gpadlHeader(let header): assembler = try? GPADLAssembler(header: header)
        case .gpadlBody(let body): try? assembler?.append(body: body)
        default: break
        }
      }
      guard let assembler, let ranges = try? assembler.ranges() else { continue }
      accepted += 1
      for (index, range) in ranges.enumerated() { try range.validate(index: index) }
      #expect(
        try assemble(GPADLDescription.messages(relid: assembler.relid, gpadl: assembler.gpadl, ranges: ranges))
          == ranges)
    }
    #expect(accepted > 100)
  }
}
