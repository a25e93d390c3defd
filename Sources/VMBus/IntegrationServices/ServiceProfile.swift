public import VMBusProtocol

/// What an integration service is on the bus, and which versions of it the host speaks.
public struct ServiceProfile: Sendable {
  /// The name in messages and configurations.
  public var name: String
  /// Class of the device.
  public var interfaceClass: GUID
  /// Instance of the device: the same on each virtual machine.
  public var instance: GUID
  /// The type of its messages.
  public var messageType: ICMessageType
  /// The versions of the service that are offered.
  public var versions: [ICVersion]

  /// The versions of the framework that are offered.
  public static let frameworks = [ICVersion(1, 0), ICVersion(3, 0)]
}

/// What a service wants to send.
public struct ServiceRequest: Sendable {
  /// Makes the ring payload behind the header that it is given.
  var payload: @Sendable (ICHeader) -> [UInt8]
  /// Whether the guest has to answer. One request at a time waits for its answer.
  var wantsAnswer = true
  /// How long the answer is waited for, in nanoseconds.
  var patience: UInt64 = 30_000_000_000
}

/// The state of one integration service towards its guest, without I/O. Times are of the monotonic clock, in nanoseconds.
public protocol ServiceState: Sendable {
  /// What the service is.
  var profile: ServiceProfile { get }
  /// The guest has agreed on `version`.
  mutating func agreed(on version: ICVersion, now: UInt64)
  /// What is to be sent now; asked while no answer is waited for.
  mutating func nextRequest(now: UInt64) -> ServiceRequest?
  /// When `nextRequest` is to be asked again even if nothing happens.
  var wakeTime: UInt64? { get }
  /// The answer of the guest to the last request.
  ///
  /// - Throws: `ICError` for a body that is malformed; it counts as the answer all the same.
  mutating func answered(_ header: ICHeader, _ payload: RawSpan, now: UInt64) throws(ICError)
  /// The answer to the last request did not come, or was malformed.
  mutating func failed(_ error: ServiceError, now: UInt64)
  /// The guest has closed the channel, or is gone, or has no version in common with the host.
  mutating func ended(_ error: ServiceError)
}
