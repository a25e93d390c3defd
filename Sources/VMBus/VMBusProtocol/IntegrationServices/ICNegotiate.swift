import WireBytes

/// The body of a negotiation: the framework and service versions that the sender speaks, or the ones chosen.
public struct ICNegotiate: Hashable, Sendable {
  /// The framework versions.
  public var frameworks: [ICVersion]
  /// The versions of the service.
  public var messages: [ICVersion]

  /// Lists of versions.
  public init(frameworks: [ICVersion], messages: [ICVersion]) {
    self.frameworks = frameworks
    self.messages = messages
  }

  /// Reads the body after `header` in a ring payload.
  ///
  /// - Throws: `ICError` when the body does not hold the lists that it announces.
  public init(parsing payload: RawSpan, header: ICHeader) throws(ICError) {
    let start = ICHeader.bodyOffset
    let has = min(payload.byteCount - start, Int(header.bodyByteCount))
    guard has >= 8 else { throw .tooShort(.negotiate, needs: 8, has: has) }
    let frameworkCount = Int(payload.le16(at: start))
    let messageCount = Int(payload.le16(at: start + 2))
    let needs = 8 + (frameworkCount + messageCount) * 4
    guard has >= needs else { throw .tooShort(.negotiate, needs: needs, has: has) }
    let versions = (0..<(frameworkCount + messageCount)).map { ICVersion(parsing: payload, at: start + 8 + $0 * 4) }
    frameworks = Array(versions.prefix(frameworkCount))
    messages = Array(versions.dropFirst(frameworkCount))
  }

  /// The ring payload of a host's request.
  public func request(transactionID: UInt8) -> [UInt8] {
    let header = ICHeader(
      framework: ICVersion(0, 0), type: .negotiate, messageVersion: ICVersion(0, 0), bodyByteCount: 0,
      transactionID: transactionID, flags: [.transaction, .request])
    return header.payload(bodyByteCount: 8 + (frameworks.count + messages.count) * 4) { store(into: &$0) }
  }

  /// The newest framework and service version that both sides speak; nil when there is none.
  public func choice(
    frameworks ownFrameworks: [ICVersion], messages ownMessages: [ICVersion]
  ) -> (framework: ICVersion, message: ICVersion)? {
    guard let framework = ownFrameworks.filter(frameworks.contains).max(),
      let message = ownMessages.filter(messages.contains).max()
    else { return nil }
    return (framework, message)
  }

  /// Turns the request in `payload` into its answer, in place: the packet keeps its length, and the bytes after the
  /// chosen versions stay. Without a common version both counts become 0.
  public static func answer(
    _ choice: (framework: ICVersion, message: ICVersion)?, header: ICHeader, in payload: inout MutableRawSpan
  ) {
    var reply = header.reply()
    reply.bodyByteCount = min(16, header.bodyByteCount)
    reply.store(into: &payload)
    let versions = ICNegotiate(
      frameworks: choice.map { [$0.framework] } ?? [], messages: choice.map { [$0.message] } ?? [])
    versions.store(into: &payload)
  }

  private func store(into payload: inout MutableRawSpan) {
    payload.storeLE(UInt16(frameworks.count), at: ICHeader.bodyOffset)
    payload.storeLE(UInt16(messages.count), at: ICHeader.bodyOffset + 2)
    payload.storeLE(UInt32(0), at: ICHeader.bodyOffset + 4)
    for (index, version) in (frameworks + messages).enumerated() {
      version.store(into: &payload, at: ICHeader.bodyOffset + 8 + index * 4)
    }
  }
}
