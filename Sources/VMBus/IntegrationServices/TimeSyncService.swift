public import LinuxIO
public import VMBusProtocol

/// Tells the guest the time: to set its clock when it opens the service, then samples to discipline it.
public typealias TimeSyncService = IntegrationService<TimeSyncState>

/// When the guest is told the time, and what.
public struct TimeSyncState: ServiceState {
  /// What the service is. Version 4.0 is offered only where the reference counter of the virtual machine is known, as a
  /// guest adds to the time what that counter has moved since.
  public var profile: ServiceProfile {
    ServiceProfile(
      name: "timesync", interfaceClass: .timeSync, instance: .timeSyncInstance, messageType: .timeSync,
      versions: [ICVersion(1, 0), ICVersion(3, 0)] + (referenceTime == nil ? [] : [ICVersion(4, 0)]))
  }

  private let interval: UInt64
  private let wallTime: @Sendable () -> UInt64
  private let referenceTime: (@Sendable () -> UInt64)?
  private var mustSet = false
  private(set) var setCount: UInt64 = 0
  private(set) var sampleCount: UInt64 = 0
  /// When the next sample is due.
  public private(set) var wakeTime: UInt64?

  init(
    interval: UInt64, wallTime: @escaping @Sendable () -> UInt64, referenceTime: (@Sendable () -> UInt64)?
  ) {
    self.interval = interval
    self.wallTime = wallTime
    self.referenceTime = referenceTime
  }

  /// Takes note of the version.
  public mutating func agreed(on version: ICVersion, now: UInt64) {
    mustSet = true
    wakeTime = now
  }

  /// The clock of the guest is to be set once more.
  mutating func setClock() {
    mustSet = true
  }

  /// What is to be sent now.
  public mutating func nextRequest(now: UInt64) -> ServiceRequest? {
    guard let due = wakeTime, mustSet || now >= due else { return nil }
    wakeTime = now &+ interval
    let isSet = mustSet
    mustSet = false
    if isSet { setCount &+= 1 } else { sampleCount &+= 1 }
    return ServiceRequest(
      payload: { [wallTime, referenceTime] header in
        // The reference first: what passes until the guest reads the time makes it no older than it is.
        let reference = referenceTime?()
        return ICTimeSync(
          parentTime: ICTimeSync.unixEpoch &+ wallTime() / 100, referenceTime: reference,
          flags: isSet ? .sync : .sample
        ).payload(header: header)
      }, wantsAnswer: isSet)
  }

  /// Takes the answer.
  public mutating func answered(_ header: ICHeader, _ payload: RawSpan, now: UInt64) throws(ICError) {}

  /// Takes note of the missing answer.
  public mutating func failed(_ error: ServiceError, now: UInt64) {}

  /// Forgets the guest.
  public mutating func ended(_ error: ServiceError) {
    wakeTime = nil
    mustSet = false
  }
}

extension IntegrationService where State == TimeSyncState {
  /// A time synchronization service.
  ///
  /// - Parameters:
  ///   - intervalMilliseconds: between two samples; Hyper-V has five seconds.
  ///   - referenceTime: the reference counter of the virtual machine now, in units of 100 ns
  ///     (HV_X64_MSR_TIME_REF_COUNT); nil where it is not known.
  ///   - wallTime: nanoseconds since 1970 UTC.
  public convenience init(
    intervalMilliseconds: Int = 5000, referenceTime: (@Sendable () -> UInt64)? = nil,
    wallTime: @escaping @Sendable () -> UInt64 = { realTimeNanoseconds() }
  ) {
    self.init(
      TimeSyncState(
        interval: UInt64(max(1, intervalMilliseconds)) * 1_000_000, wallTime: wallTime, referenceTime: referenceTime))
  }

  /// Has the guest set its clock now; nothing happens while it has not opened the service.
  public func setClock() {
    change { $0.setClock() }
  }

  /// How often the guest was told to set its clock, and how many samples it got.
  public var counts: (set: UInt64, samples: UInt64) {
    content.withLock { ($0.state.setCount, $0.state.sampleCount) }
  }
}
