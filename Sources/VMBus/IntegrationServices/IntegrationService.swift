import LinuxIO
import Synchronization
public import VMBusChannel
public import VMBusProtocol
import WireBytes

/// The host end of an integration service, as `hv_utils` of Linux is the guest end. One guest may open it at a time.
///
/// All calls are for any thread; those that ask the guest wait for its answer.
public final class IntegrationService<State: ServiceState>: HostDevice {
  /// What the service is.
  public let profile: ServiceProfile

  /// How the guest has the service open.
  public enum Phase: Equatable, Sendable {
    /// No guest has it open.
    case closed
    /// The guest has not answered the offer of versions yet.
    case negotiating
    /// Requests may be sent.
    case ready(ICVersion)
    /// The guest speaks none of the versions.
    case refused
  }

  struct Content {
    var state: State
    var exchange: ServiceExchange<State>?
    var link: ServiceLink?
    var strayCount: UInt64 = 0
    var malformedCount: UInt64 = 0
    var hasSession = false
  }

  let content: Monitor<Content>

  init(_ state: State) {
    profile = state.profile
    content = Monitor(Content(state: state))
  }

  /// Class of the device.
  public var interfaceClass: GUID { profile.interfaceClass }
  /// Instance of the device.
  public var instance: GUID { profile.instance }
  /// The kind of pipe: messages.
  public var userDefined: [UInt8] {
    [UInt8](zeroed: 4) { $0.storeLE(PipeType.message.rawValue, at: 0) }
  }
  /// A pipe.
  public var offerFlags: OfferFlags { .namedPipe }

  /// How the guest has the service open.
  public var phase: Phase {
    content.withLock { content in
      guard let exchange = content.exchange else { return .closed }
      switch exchange.phase {
      case .negotiating: return .negotiating
      case .ready(_, let version): return .ready(version)
      case .refused: return .refused
      }
    }
  }

  /// Messages of guests that were no answer to anything: late ones, and those that nobody asked for.
  public var strayCount: UInt64 {
    content.withLock { $0.strayCount &+ ($0.exchange?.strayCount ?? 0) }
  }

  /// Messages of guests that were malformed.
  public var malformedCount: UInt64 {
    content.withLock { $0.malformedCount &+ ($0.exchange?.malformedCount ?? 0) }
  }

  /// A session for a guest.
  ///
  /// - Throws: `.refused` while another guest has the service open.
  public func makeSession(for guest: GuestContext) throws(ChannelError) -> any HostDeviceSession {
    let isBusy = content.withLock { content in
      let isBusy = content.hasSession
      content.hasSession = true
      return isBusy
    }
    if isBusy { throw .refused(what: "opening a service that another guest has open", status: 1) }
    return ServiceSession(self)
  }

  // MARK: The endpoint

  func opened(_ link: ServiceLink) {
    content.withLock { content in
      content.exchange = ServiceExchange(profile)
      content.link = link
    }
  }

  func closed() {
    content.withLock { content in
      content.strayCount &+= content.exchange?.strayCount ?? 0
      content.malformedCount &+= content.exchange?.malformedCount ?? 0
      content.exchange = nil
      content.link = nil
      content.state.ended(.lost)
    }
  }

  /// Takes what the guest has sent.
  func receive(_ payload: RawSpan) {
    let now = monotonicNanoseconds()
    content.withLock { content in content.exchange?.receive(payload, &content.state, now: now) }
  }

  /// The next message for the guest, and when to ask again at the latest.
  func poll() -> (message: [UInt8]?, wakeTime: UInt64?) {
    let now = monotonicNanoseconds()
    return content.withLock { content in
      guard content.exchange != nil else { return (nil, nil) }
      let message = content.exchange?.poll(&content.state, now: now)
      return (message, content.exchange?.wakeTime(content.state))
    }
  }

  // MARK: Callers

  /// Changes the state, then has the endpoint look for something to be sent.
  func change<R>(_ body: (inout State) -> sending R) -> sending R {
    let (result, link) = content.withLock { content in (body(&content.state), content.link) }
    link?.post()
    return result
  }

  /// Why nothing can be sent now; nil when it can.
  func obstacle(_ exchange: ServiceExchange<State>?) -> ServiceError? {
    guard let exchange else { return .notOpen }
    switch exchange.phase {
    case .negotiating: return .notReady
    case .ready: return nil
    case .refused: return .noCommonVersion
    }
  }

  /// Waits until the guest can be asked.
  ///
  /// - Throws: why it can't be after `milliseconds`.
  public func awaitReady(milliseconds: Int) throws(ServiceError) {
    let result: Result<Void, ServiceError>? = content.wait(milliseconds: milliseconds) { [self] content in
      switch obstacle(content.exchange) {
      case nil: .success(())
      case .noCommonVersion: .failure(.noCommonVersion)
      default: nil
      }
    }
    if let result { return try result.get() }
    throw content.withLock { [self] in obstacle($0.exchange) } ?? .timedOut
  }
}

/// A service towards one guest.
final class ServiceSession<State: ServiceState>: HostDeviceSession {
  private let service: IntegrationService<State>

  init(_ service: IntegrationService<State>) {
    self.service = service
  }

  func openEndpoint(on channel: Channel, index: Int) throws(ChannelError) -> any HostEndpoint {
    guard index == 0 else { throw .refused(what: "a sub-channel of \(service.profile.name)", status: 1) }
    do throws(Errno) {
      return try ServiceEndpoint(service, channel)
    } catch {
      throw .system(what: "serving \(service.profile.name)", error)
    }
  }

  func end() {
    service.content.withLock { $0.hasSession = false }
  }
}
