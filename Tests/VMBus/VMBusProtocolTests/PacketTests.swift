import TestVectors
import Testing
import VMBusProtocol
import WireBytes

@Suite struct PacketTests {
  /// A packet as it stands in the ring: what `fill` writes, then padding and the trailer.
  private func packet(
    _ descriptor: PacketDescriptor, payload: [UInt8], start: UInt32,
    header fill: (inout MutableRawSpan) -> Void = { _ in }
  ) -> [UInt8] {
    [UInt8](zeroed: descriptor.ringByteCount) { bytes in
      descriptor.store(into: &bytes)
      fill(&bytes)
      bytes.store(payload.rawSpan, at: descriptor.payloadOffset)
      bytes.storeLE(PacketTrailer.word(start: start), at: descriptor.length)
    }
  }

  private func descriptor(of bytes: [UInt8]) throws(PacketError) -> PacketDescriptor {
    let descriptor = PacketDescriptor(parsing: bytes.rawSpan)
    try descriptor.validate(available: bytes.count)
    return descriptor
  }

  @Test func inBandAndCompletionV36V37() throws {
    let request = PacketDescriptor.inBand(
      payloadByteCount: 5, transactionID: 0x1122_3344_5566_7788, isCompletionRequested: true)
    #expect(packet(request, payload: Array("hello".utf8), start: 4072) == Golden.v36)
    #expect(try descriptor(of: Golden.v36) == request)
    #expect(request.payloadByteCount == 8 && request.isCompletionRequested)
    let completion = PacketDescriptor.completion(payloadByteCount: 4, transactionID: request.transactionID)
    #expect(packet(completion, payload: [0, 0, 0, 0], start: 0) == Golden.v37)
    #expect(try descriptor(of: Golden.v37) == completion)
  }

  @Test func gpaDirectV38() throws {
    let direct = GPADirect.descriptor(rangeCount: 2, pageCount: 4, payloadByteCount: 16, transactionID: 7)
    let bytes = packet(direct, payload: Array(0..<16), start: 64) { bytes in
      GPADirect.storeDescriptor(into: &bytes, rangeCount: 2, pageCount: 4, payloadByteCount: 16, transactionID: 7)
      var position = GPADirect.storeContiguousRange(
        into: &bytes, at: GPADirect.rangesOffset, byteCount: 0x1000, byteOffset: 0, firstPage: 0x500)
      position = GPADirect.storeRange(into: &bytes, at: position, byteCount: 0x1400, byteOffset: 0xe00)
      for (index, page) in ([0x501, 0x502, 0x600] as [UInt64]).enumerated() {
        bytes.storeLE(page, at: position + index * 8)
      }
      #expect(position + 24 == direct.payloadOffset)
    }
    #expect(bytes == Golden.v38)
    let parsed = try descriptor(of: Golden.v38)
    #expect(parsed == direct)
    let v38 = Golden.v38
    var ranges = try GPADirectRanges(parsing: v38.rawSpan, descriptor: parsed)
    var seen: [GPADLRange] = []
    while let range = ranges.next() {
      seen.append(
        GPADLRange(
          byteCount: range.byteCount, byteOffset: range.byteOffset,
          pages: (0..<range.pageCount).map { ranges.page(at: $0, of: range) }))
    }
    let count = ranges.count
    let total = ranges.totalByteCount
    #expect(count == 2 && total == 0x2400)
    #expect(
      seen == [
        GPADLRange(pages: [0x500]), GPADLRange(byteCount: 0x1400, byteOffset: 0xe00, pages: [0x501, 0x502, 0x600]),
      ])
    ranges.rewind()
    let again = ranges.next()
    #expect(again?.byteCount == 0x1000)
  }

  @Test func transferPagesV39() throws {
    let bytes = [UInt8](zeroed: 56) { bytes in
      TransferPages.storeDescriptor(
        into: &bytes, pageSetID: 0xcafe, rangeCount: 2, payloadByteCount: 8, transactionID: 9)
      TransferPages.storeRange(into: &bytes, index: 0, TransferPageRange(byteCount: 60, byteOffset: 0))
      TransferPages.storeRange(into: &bytes, index: 1, TransferPageRange(byteCount: 1514, byteOffset: 0x700))
      bytes.store(([1, 2, 3, 4, 5, 6, 7, 8] as [UInt8]).rawSpan, at: TransferPages.headerByteCount(rangeCount: 2))
    }
    #expect(bytes == Golden.v39)
    let parsed = try descriptor(of: Golden.v39)
    let v39 = Golden.v39
    let ranges = try TransferPageRanges(parsing: v39.rawSpan, descriptor: parsed)
    let (pageSetID, count, second) = (ranges.pageSetID, ranges.count, ranges[1])
    #expect(pageSetID == 0xcafe && count == 2 && second == TransferPageRange(byteCount: 1514, byteOffset: 0x700))
    #expect(second.fits(in: 0x700 + 1514) && !second.fits(in: 0x700 + 1513))
    #expect(!TransferPageRange(byteCount: .max, byteOffset: .max).fits(in: 0x10000))
  }

  @Test func pipePacketsV40ToV42() throws {
    let headers: [(PipeHeader, [UInt8], UInt32, [UInt8])] = [
      (.data(byteCount: 2), Array("ab".utf8), 0, Golden.v40),
      (.endOfStream, [], 40, Golden.v41),
      (.partial(consumed: 1, total: 2), Array("ab".utf8), 0, Golden.v42),
    ]
    for (header, data, start, bytes) in headers {
      let outer = PacketDescriptor.inBand(
        payloadByteCount: PipeHeader.byteCount + data.count, transactionID: 0, isCompletionRequested: false)
      let payload = [UInt8](zeroed: PipeHeader.byteCount) { header.store(into: &$0) } + data
      #expect(packet(outer, payload: payload, start: start) == bytes)
      let parsed = try descriptor(of: bytes)
      let area = bytes.rawSpan.array(from: parsed.payloadOffset, count: parsed.payloadByteCount)
      #expect(try PipeHeader(area) == header)
      #expect(header.isEndOfStream == (start == 40))
      #expect(header.totalByteCount == data.count)
    }
    #expect(PipeHeader.partial(consumed: 1, total: 2).consumedByteCount == 1)
  }

  @Test func corruptPipeHeadersAreRefused() {
    func header(_ bytes: [UInt8]) throws(PacketError) -> PipeHeader { try PipeHeader(bytes) }
    #expect(throws: PacketError.payload(needs: 8, has: 7)) { try header(hex("01 00*6")) }
    #expect(throws: PacketError.payload(needs: 17, has: 16)) { try header(hex("01 00*3 09 00*3 00*8")) }
    #expect(throws: PacketError.payload(needs: 16393, has: 20008)) { try header(hex("01 00*3 01 40 00*2 00*20000")) }
    #expect(throws: PacketError.payload(needs: 10, has: 16)) { try header(hex("02 00*3 02 00 03 00 00*8")) }
    #expect(throws: PacketError.pipeType(PipePacketType(rawValue: 5))) { try header(hex("05 00*7")) }
  }

  @Test func corruptDescriptorsAreRefused() {
    func check(
      _ type: UInt16, _ offset8: UInt16, _ length8: UInt16, _ flags: UInt16, available: Int = 40,
      types: PacketTypeSet = .all
    ) throws(PacketError) {
      try PacketDescriptor(
        type: PacketType(rawValue: type), payloadOffset8: offset8, length8: length8,
        flags: PacketFlags(rawValue: flags), transactionID: 0
      ).validate(available: available, types: types)
    }
    #expect(throws: Never.self) { try check(6, 2, 4, 1) }
    #expect(throws: Never.self) { try check(6, 4, 4, 0) }
    #expect(throws: Never.self) { try check(0xb, 2, 2, 0, available: 24) }
    #expect(throws: PacketError.tooShort(available: 23)) { try check(6, 2, 2, 0, available: 23) }
    #expect(throws: PacketError.length(byteCount: 40, available: 40)) { try check(6, 2, 5, 0) }
    #expect(throws: PacketError.length(byteCount: 8, available: 40)) { try check(6, 1, 1, 0) }
    #expect(throws: PacketError.payloadOffset(byteOffset: 8, byteCount: 32)) { try check(6, 1, 4, 0) }
    #expect(throws: PacketError.payloadOffset(byteOffset: 40, byteCount: 32)) { try check(6, 5, 4, 0) }
    #expect(throws: PacketError.flags(PacketFlags(rawValue: 3))) { try check(6, 2, 4, 3) }
    for type in (0...40).map(UInt16.init) where ![6, 7, 9, 0xb].contains(type) {
      #expect(throws: PacketError.type(PacketType(rawValue: type))) { try check(type, 2, 4, 0) }
    }
    #expect(throws: PacketError.type(.gpaDirect)) { try check(9, 2, 4, 0, types: .fromHost) }
    #expect(throws: PacketError.type(.transferPages)) { try check(7, 2, 4, 0, types: .fromGuest) }
  }

  @Test func corruptRangesAreRefused() throws {
    func direct(_ header: String, payloadOffset8: UInt16) throws(PacketError) {
      let bytes = hex("00*16 " + header)
      let descriptor = PacketDescriptor(
        type: .gpaDirect, payloadOffset8: payloadOffset8, length8: 100, flags: .completionRequested, transactionID: 1)
      _ = try GPADirectRanges(parsing: bytes.rawSpan, descriptor: descriptor)
    }
    let range = "00 10 00*6 05 00*7"
    #expect(throws: Never.self) { try direct("00*4 01 00*3 \(range)", payloadOffset8: 5) }
    #expect(throws: PacketError.noRanges) { try direct("00*4 00*4 \(range)", payloadOffset8: 5) }
    #expect(throws: PacketError.ranges(count: 2, byteCount: 16)) {
      try direct("00*4 02 00*3 \(range)", payloadOffset8: 5)
    }
    #expect(throws: PacketError.ranges(count: .max, byteCount: 16)) {
      try direct("00*4 ff ff ff ff \(range)", payloadOffset8: 5)
    }
    #expect(throws: PacketError.ranges(count: 1, byteCount: 16)) {
      try direct("00*4 01 00*3 01 10 00*6 05 00*7", payloadOffset8: 5)
    }
    #expect(throws: PacketError.emptyRange(index: 0)) {
      try direct("00*4 01 00*3 00*8 05 00*7", payloadOffset8: 5)
    }
    #expect(throws: PacketError.byteOffset(index: 1, 0x1000)) {
      try direct("00*4 02 00*3 \(range) 01 00*4 10 00*2 05 00*7 00*16", payloadOffset8: 7)
    }
    #expect(throws: PacketError.payloadOffset(byteOffset: 48, byteCount: 40)) {
      try direct("00*4 01 00*3 \(range)", payloadOffset8: 6)
    }
    #expect(throws: PacketError.payloadOffset(byteOffset: 16, byteCount: 40)) {
      try direct("00*4 01 00*3 \(range)", payloadOffset8: 2)
    }
  }

  @Test func mutatedPacketsNeverTrapAndRangesStayInside() throws {
    var random = SeededGenerator(seed: 3)
    let seeds = [Golden.v36, Golden.v37, Golden.v38, Golden.v39, Golden.v40, Golden.v41, Golden.v42]
    var accepted = 0
    for round in 0..<6000 {
      let seed = seeds[round % seeds.count]
      let bytes = round % 4 == 0 ? random.bytes(Int.random(in: 0...120, using: &random)) : random.mutation(of: seed)
      guard bytes.count >= PacketDescriptor.byteCount else { continue }
      guard let parsed = try? descriptor(of: bytes) else { continue }
      accepted += 1
      #expect(parsed.payloadByteCount >= 0 && parsed.ringByteCount <= bytes.count)
      let area = bytes.rawSpan.array(from: parsed.payloadOffset, count: parsed.payloadByteCount)
      if let pipe = try? PipeHeader(area), pipe.type == .data {
        #expect(pipe.totalByteCount <= area.count - PipeHeader.byteCount)
      }
      do throws(PacketError) {
        var ranges = try GPADirectRanges(parsing: bytes.rawSpan, descriptor: parsed)
        var total: UInt64 = 0
        while let range = ranges.next() {
          total += UInt64(range.byteCount)
          for index in 0..<range.pageCount { _ = ranges.page(at: index, of: range) }
        }
        let announced = ranges.totalByteCount
        #expect(total == announced)
      } catch {}
      do throws(PacketError) {
        let ranges = try TransferPageRanges(parsing: bytes.rawSpan, descriptor: parsed)
        for index in 0..<ranges.count { _ = ranges[index] }
      } catch {}
    }
    #expect(accepted > 1000)
  }
}
