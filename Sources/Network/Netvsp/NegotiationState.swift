import NetvscProtocol

/// The steps by which a guest brings the channel up, as the primary channel sees them.
///
/// What has no place in a state, comes twice or in the wrong order is a fault, which ends the service on the channel.
struct NegotiationState {
  enum Step: CaseIterable {
    /// No version is agreed upon.
    case version
    /// Configuration and buffers come.
    case configuring
    /// RNDIS has begun.
    case running
    /// The guest has taken a buffer back: nothing more comes but the end.
    case revoked
  }

  private(set) var step = Step.version
  private(set) var version = NVSPVersion.v1
  private(set) var configuration: NVSPConfiguration?
  private(set) var ndisVersion: NDISVersion?
  private(set) var receiveBuffer: NVSPBuffer?
  private(set) var sendBuffer: NVSPBuffer?
  private(set) var subChannelCount: Int?

  /// What is to be done.
  enum Outcome: Equatable {
    /// Answer with the version's status.
    case version(NVSPStatus)
    /// Nothing to be said.
    case accepted
    /// Divide the buffer, and answer how.
    case receiveBuffer(NVSPBuffer)
    /// Divide the buffer, and answer how.
    case sendBuffer(NVSPBuffer)
    /// The guest has its receive buffer back.
    case receiveBufferRevoked
    /// The guest has its send buffer back.
    case sendBufferRevoked
    /// Answer with that many sub-channels, or a failure.
    case subChannels(Int?)
    /// Not supported.
    case queryOID
    /// The guest broke the rules, in words.
    case fault(String)
  }

  /// A message other than RNDIS.
  ///
  /// - Parameters:
  ///   - highest: the newest version that is agreed to.
  ///   - maximumQueueCount: channels that the guest may have, the primary one counted.
  mutating func handle(_ request: NVSPRequest, highest: NVSPVersion, maximumQueueCount: Int) -> Outcome {
    if case .initialize(let lowest, _) = request { return initialize(lowest, highest: highest) }
    guard step != .version else { return .fault("\(request.type) before a version was agreed upon") }
    guard request.type.isAllowed(at: version) else { return .fault("\(request.type) at \(version)") }
    switch request {
    case .configuration(let wanted):
      guard step == .configuring, configuration == nil, receiveBuffer == nil else { return outOfPlace(request) }
      configuration = wanted
      return .accepted
    case .ndisVersion(let told):
      guard step == .configuring, ndisVersion == nil else { return outOfPlace(request) }
      ndisVersion = told
      return .accepted
    case .receiveBuffer(let buffer):
      guard step == .configuring, receiveBuffer == nil, configuration != nil || !version.hasConfiguration else {
        return outOfPlace(request)
      }
      receiveBuffer = buffer
      return .receiveBuffer(buffer)
    case .sendBuffer(let buffer):
      guard step == .configuring, sendBuffer == nil else { return outOfPlace(request) }
      sendBuffer = buffer
      return .sendBuffer(buffer)
    case .revokeReceiveBuffer(let id):
      guard let buffer = receiveBuffer, buffer.id == id else { return .accepted }
      receiveBuffer = nil
      step = .revoked
      return .receiveBufferRevoked
    case .revokeSendBuffer(let id):
      guard let buffer = sendBuffer, buffer.id == id else { return .accepted }
      sendBuffer = nil
      step = .revoked
      return .sendBufferRevoked
    case .subChannels(let wanted):
      let maximum = maximumQueueCount - 1
      guard step == .running, subChannelCount == nil, wanted.operation == NVSPSubChannelRequest.allocate,
        wanted.count > 0, wanted.count <= maximum
      else { return .subChannels(nil) }
      return .subChannels(Int(wanted.count))
    case .queryOID: return .queryOID
    case .switchDataPath, .other(.packetDirect), .other(.packetDirectPostBatch): return .accepted
    default: return .fault("\(request.type) from a guest")
    }
  }

  private mutating func initialize(_ wanted: NVSPVersion, highest: NVSPVersion) -> Outcome {
    guard step == .version || step == .configuring else { return .fault("INIT after the initialization") }
    // What an earlier attempt has brought is forgotten.
    self = NegotiationState()
    guard wanted.isKnown, wanted.rawValue <= highest.rawValue else {
      return .version(wanted.rawValue > highest.rawValue ? .versionTooNew : .versionTooOld)
    }
    version = wanted
    step = .configuring
    return .version(.success)
  }

  private func outOfPlace(_ request: NVSPRequest) -> Outcome {
    .fault("\(request.type) twice, or out of order")
  }

  /// The receive buffer could not be used: the guest may try again.
  mutating func forgetReceiveBuffer() { receiveBuffer = nil }
  /// The send buffer could not be used: the guest may try again.
  mutating func forgetSendBuffer() { sendBuffer = nil }
  /// The sub-channels were granted.
  mutating func grantSubChannels(_ count: Int) { subChannelCount = count }

  /// RNDIS comes: the initialization is over; false where it is not possible yet.
  mutating func beginRNDIS() -> Bool {
    switch step {
    case .running, .revoked: return true
    case .version: return false
    case .configuring:
      guard receiveBuffer != nil else { return false }
      step = .running
      return true
    }
  }
}
