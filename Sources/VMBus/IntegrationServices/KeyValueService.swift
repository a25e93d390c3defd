public import VMBusProtocol

/// Exchanges key-value pairs with the guest, and asks it for its addresses. The guest's answers come from its daemon: a
/// Linux guest without one refuses everything.
public typealias KeyValueService = IntegrationService<KeyValueState>

/// The requests for key-value pairs.
public struct KeyValueState: CalledState {
  /// What the service is.
  public let profile = ServiceProfile(
    name: "kvp", interfaceClass: .keyValuePair, instance: .keyValuePairInstance, messageType: .keyValuePair,
    versions: [ICVersion(3, 0), ICVersion(4, 0), ICVersion(5, 0)])

  var calls = CallQueue<ICKeyValue, ICKeyValue>()
  private var current: ICKeyValue?
  private let patience: UInt64
  /// Nothing is sent by the clock.
  public var wakeTime: UInt64? { nil }

  /// - Parameter patience: how long an answer is waited for, in nanoseconds. Linux gives its daemon 30 s before it answers
  ///   with a failure.
  init(patience: UInt64 = 60_000_000_000) {
    self.patience = patience
  }

  /// Takes note of the version.
  public mutating func agreed(on version: ICVersion, now: UInt64) {}

  /// What is to be sent now.
  public mutating func nextRequest(now: UInt64) -> ServiceRequest? {
    guard let body = calls.next() else { return nil }
    current = body
    return ServiceRequest(payload: { body.payload(header: $0) }, patience: patience)
  }

  /// Takes the answer.
  public mutating func answered(_ header: ICHeader, _ payload: RawSpan, now: UInt64) throws(ICError) {
    guard header.status == .success else { return finish(.failure(.refused(header.status))) }
    let body = try ICKeyValue(parsing: payload, header: header)
    guard let current, Self.answers(body, current) else {
      return finish(.failure(.malformed("it belongs to another request")))
    }
    finish(.success(body))
  }

  /// Whether an answer has the form of the request: the guest may have changed everything.
  private static func answers(_ answer: ICKeyValue, _ request: ICKeyValue) -> Bool {
    switch (answer.operation, request.operation) {
    case (.get, .get), (.set, .set), (.delete, .delete), (.getAddresses, .getAddresses), (.setAddresses, .setAddresses):
      true
    case (.enumerate(let answered, _), .enumerate(let asked, _)): answered == asked
    default: false
    }
  }

  private mutating func finish(_ result: Result<ICKeyValue, ServiceError>) {
    current = nil
    calls.finish(result)
  }

  /// Takes note of the missing answer.
  public mutating func failed(_ error: ServiceError, now: UInt64) {
    finish(.failure(error))
  }

  /// Forgets the guest.
  public mutating func ended(_ error: ServiceError) {
    current = nil
    calls.failAll(error)
  }
}

extension IntegrationService where State == KeyValueState {
  /// A key-value pair service.
  public convenience init() {
    self.init(KeyValueState())
  }

  /// How long callers wait by default: a guest's daemon has half a minute.
  public static var defaultMilliseconds: Int { 40_000 }

  /// The most pairs of a pool that are asked for, whatever a guest claims.
  public static var maximumPairCount: Int { 1024 }

  /// The value of a key; nil when the pool has no such key.
  ///
  /// - Throws: `.invalid` for a key that is too long, and why the guest can't be asked or refuses.
  public func get(
    _ key: String, pool: ICKeyValue.Pool = .guest, milliseconds: Int = defaultMilliseconds
  ) throws(ServiceError) -> ICKeyValuePair.Value? {
    try check(key)
    do throws(ServiceError) {
      let answer = try call(ICKeyValue(.get(ICKeyValuePair(key: key)), pool: pool), milliseconds: milliseconds)
      guard case .get(let pair) = answer.operation else { return nil }
      return pair.value
    } catch .refused(.noMoreItems) {
      return nil
    }
  }

  /// Gives a key a value.
  ///
  /// - Throws: `.invalid` for texts that are too long, and why the guest can't be asked or refuses.
  public func set(
    _ key: String, to value: String, pool: ICKeyValue.Pool = .external, milliseconds: Int = defaultMilliseconds
  ) throws(ServiceError) {
    try check(key)
    guard value.utf16.count <= ICKeyValue.maximumValueUnitCount else {
      throw .invalid("a value has at most \(ICKeyValue.maximumValueUnitCount) UTF-16 units")
    }
    _ = try call(
      ICKeyValue(.set(ICKeyValuePair(key: key, value: .text(value))), pool: pool), milliseconds: milliseconds)
  }

  /// Removes a key; false when the pool has no such key.
  ///
  /// - Throws: `.invalid` for a key that is too long, and why the guest can't be asked or refuses.
  public func delete(
    _ key: String, pool: ICKeyValue.Pool = .external, milliseconds: Int = defaultMilliseconds
  ) throws(ServiceError) -> Bool {
    try check(key)
    do throws(ServiceError) {
      _ = try call(ICKeyValue(.delete(key: key), pool: pool), milliseconds: milliseconds)
      return true
    } catch .refused(.noMoreItems) {
      return false
    }
  }

  /// All pairs of a pool, at most `maximumPairCount`.
  ///
  /// - Parameter milliseconds: how long each answer is waited for.
  /// - Throws: why the guest can't be asked or refuses.
  public func pairs(
    in pool: ICKeyValue.Pool = .guest, milliseconds: Int = defaultMilliseconds
  ) throws(ServiceError) -> [ICKeyValuePair] {
    var pairs: [ICKeyValuePair] = []
    for index in 0..<UInt32(Self.maximumPairCount) {
      do throws(ServiceError) {
        let answer = try call(
          ICKeyValue(.enumerate(index: index, ICKeyValuePair(key: "")), pool: pool), milliseconds: milliseconds)
        guard case .enumerate(_, let pair) = answer.operation else { break }
        pairs.append(pair)
      } catch .refused(.noMoreItems) {
        break
      }
    }
    return pairs
  }

  /// The addresses of a network adapter of the guest.
  ///
  /// - Parameter adapter: its MAC address in upper case, like `00:15:5D:00:00:01`.
  /// - Throws: `.refused(.guidNotFound)` for an adapter that the guest does not know, and why it can't be asked or refuses.
  public func addresses(
    ofAdapter adapter: String, family: ICAdapterAddresses.Family = .any, milliseconds: Int = defaultMilliseconds
  ) throws(ServiceError) -> ICAdapterAddresses {
    let question = ICKeyValue(
      .getAddresses(ICAdapterAddresses(adapter: adapter, family: family)), pool: .external)
    guard case .getAddresses(let addresses) = try call(question, milliseconds: milliseconds).operation else {
      throw .malformed("it belongs to another request")
    }
    return addresses
  }

  private func check(_ key: String) throws(ServiceError) {
    guard !key.isEmpty, key.utf16.count <= ICKeyValue.maximumKeyUnitCount else {
      throw .invalid("a key has 1 to \(ICKeyValue.maximumKeyUnitCount) UTF-16 units")
    }
  }
}
