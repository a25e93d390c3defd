import TestVectors
import Testing
import VMBusProtocol
import WireBytes

@Suite struct KeyValueTests {
  private func request(_ transactionID: UInt8) -> ICHeader {
    ICHeader(
      framework: ICVersion(3, 0), type: .keyValuePair, messageVersion: ICVersion(4, 0), bodyByteCount: 0,
      transactionID: transactionID, flags: [.transaction, .request])
  }

  private func check(_ body: ICKeyValue, _ bytes: [UInt8], _ header: ICHeader) throws {
    #expect(body.payload(header: header) == bytes)
    #expect(try ICKeyValue(bytes, try ICHeader(bytes)) == body)
  }

  @Test func enumeration() throws {
    try check(
      ICKeyValue(.enumerate(index: 5, ICKeyValuePair(key: "")), pool: .auto), Golden.keyValueEnumeration, request(7))
    try check(
      ICKeyValue(.enumerate(index: 5, ICKeyValuePair(key: "OSName", value: .text("Debian"))), pool: .auto),
      Golden.keyValueEnumerationAnswer, request(7).reply())
  }

  @Test func deletion() throws {
    try check(ICKeyValue(.delete(key: "ab")), Golden.keyValueDeletion, request(1))
  }

  @Test func addresses() throws {
    try check(
      ICKeyValue(.getAddresses(ICAdapterAddresses(adapter: "0:A")), pool: .external), Golden.keyValueAddresses,
      request(9))
    try check(
      ICKeyValue(
        .getAddresses(
          ICAdapterAddresses(
            adapter: "0:A", isDHCPEnabled: true, addresses: ["1.2.3.4", "::1"], masks: ["255.0.0.0"],
            gateways: ["1.2.3.1"])), pool: .external),
      Golden.keyValueAddressesAnswer, request(9).reply())
  }

  @Test func valuesOfAllTypes() throws {
    for value in [
      ICKeyValuePair.Value.text("gr\u{fc}n \u{1f600}"), .expandableText("%A%"), .number(0xdead_beef),
      .other(type: 11, [1, 2, 3, 4, 5, 6, 7, 8]),
    ] {
      for operation in [
        ICKeyValue.Operation.set(ICKeyValuePair(key: "k", value: value)),
        .get(ICKeyValuePair(key: "k", value: value)),
      ] {
        let body = ICKeyValue(operation)
        let bytes = body.payload(header: request(2))
        #expect(bytes.count == 28 + 2576)
        #expect(try ICKeyValue(bytes, try ICHeader(bytes)) == body)
      }
    }
  }

  @Test func textsAreCutToTheirSpace() throws {
    let long = String(repeating: "x", count: 3000)
    let bytes = ICKeyValue(.set(ICKeyValuePair(key: long, value: .text(long)))).payload(header: request(1))
    #expect(bytes.count == 28 + 2576)
    guard case .set(let pair) = try ICKeyValue(bytes, try ICHeader(bytes)).operation else {
      Issue.record("another operation")
      return
    }
    #expect(pair.key.count == 255 && pair.value == .text(String(repeating: "x", count: 1023)))
  }

  @Test func lengthsThatLieAreRefused() throws {
    var bytes = Golden.keyValueEnumerationAnswer
    bytes[41] = 2
    #expect(throws: ICError.text(byteCount: 0x20e, space: 512)) { try ICKeyValue(bytes, try ICHeader(bytes)) }
    bytes = Golden.keyValueEnumerationAnswer
    bytes[47] = 0xff
    #expect(throws: ICError.text(byteCount: 0xff00_000e, space: 2048)) { try ICKeyValue(bytes, try ICHeader(bytes)) }
    bytes = Golden.keyValueEnumerationAnswer
    bytes[40] = 13
    #expect(throws: ICError.text(byteCount: 13, space: 512)) { try ICKeyValue(bytes, try ICHeader(bytes)) }
    bytes = Golden.keyValueEnumeration
    bytes[28] = 6
    #expect(throws: ICError.operation(6)) { try ICKeyValue(bytes, try ICHeader(bytes)) }
    // An address question in the space of an enumeration.
    bytes[28] = 4
    #expect(throws: ICError.tooShort(.keyValuePair, needs: 7428, has: 2580)) {
      try ICKeyValue(bytes, try ICHeader(bytes))
    }
  }

  @Test func mutatedMessagesNeverTrap() {
    var random = SeededGenerator(seed: 5)
    let seeds = [
      Golden.keyValueEnumerationAnswer, Golden.keyValueDeletion, Golden.keyValueAddressesAnswer,
      ICKeyValue(.set(ICKeyValuePair(key: "a", value: .number(1)))).payload(header: request(3)),
    ]
    var accepted = 0
    for round in 0..<2000 {
      var bytes = seeds[round % 4]
      // Most of the bytes are text: the first ones, which say what they mean, are hit more often.
      for _ in 0..<random.number(0...3) { bytes[random.number(0...63)] = UInt8(random.number(0...255)) }
      for _ in 0..<random.number(0...3) { bytes[random.number(0...bytes.count - 1)] = UInt8(random.number(0...255)) }
      if random.number(0...3) == 0 { bytes.removeLast(random.number(0...bytes.count)) }
      guard let header = try? ICHeader(bytes), let body = try? ICKeyValue(bytes, header) else { continue }
      accepted += 1
      let again = body.payload(header: header)
      #expect((try? ICHeader(again)) != nil)
    }
    #expect(accepted > 500)
  }

  @Test func timeSyncBeforeFourIsWrittenInItsOldForm() throws {
    var header = request(1)
    header.type = .timeSync
    header.messageVersion = ICVersion(3, 0)
    let time = ICTimeSync(parentTime: 9, referenceTime: nil, flags: .sync)
    let bytes = time.payload(header: header)
    #expect(bytes.count == 60 && bytes[28] == 9 && bytes[52] == 1)
    #expect(try ICTimeSync(bytes, try ICHeader(bytes)) == time)
  }
}
