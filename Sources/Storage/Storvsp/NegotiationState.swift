import StorvscProtocol

/// The steps by which a guest brings a controller up, as its primary channel sees them.
///
/// An operation that has no place in a state is answered with "invalid device state", and changes nothing.
struct NegotiationState {
  enum Step: CaseIterable {
    case begin
    case queryVersion
    case queryProperties
    case endInitialization
    case ready
  }

  private(set) var step = Step.begin
  /// What was agreed upon; 6.2 packets are used before that.
  private(set) var version = StorvscVersion.v6_2
  /// Sub-channels that the guest has asked for.
  private(set) var subChannelCount = 0
  private var hasCreatedSubChannels = false

  /// What is to be answered, besides the status.
  enum Reply: Equatable {
    case status(NTStatus)
    case version(NTStatus, StorvscVersion)
    case properties
    /// Success; the guest wants so many sub-channels in all.
    case subChannels(Int)
    /// Success; I/O may start.
    case ready
  }

  /// A step without parameters.
  mutating func handle(_ operation: StorvscOperation) -> Reply {
    switch (operation, step) {
    case (.beginInitialization, .begin):
      step = .queryVersion
      return .status(.success)
    case (.queryProperties, .queryProperties):
      step = .endInitialization
      return .properties
    case (.endInitialization, .endInitialization):
      step = .ready
      return .ready
    case (.resetLUN, .ready), (.resetAdapter, .ready), (.resetBus, .ready):
      return .status(.success)
    case (.completeIO, _), (.removeDevice, _), (.enumerateBus, _), (.fcHBAData, _), (.eventNotification, _):
      return .status(.invalidDeviceRequest)
    default:
      return .status(operation.isFromGuest ? .invalidDeviceState : .invalidDeviceRequest)
    }
  }

  /// QUERY_PROTOCOL_VERSION.
  mutating func handleVersion(_ asked: StorvscVersion) -> Reply {
    guard step == .queryVersion else { return .status(.invalidDeviceState) }
    guard asked.isKnown else { return .version(.revisionMismatch, asked) }
    version = asked
    step = .queryProperties
    return .version(.success, asked)
  }

  /// CREATE_SUB_CHANNELS: once before the end of the initialization, at any time afterwards.
  mutating func handleSubChannels(_ count: Int, maximum: Int) -> Reply {
    guard step == .ready || step == .endInitialization && !hasCreatedSubChannels else {
      return .status(.invalidDeviceState)
    }
    guard count <= (version.hasSubChannels ? maximum : 0) else { return .status(.invalidParameter) }
    hasCreatedSubChannels = true
    // Channels that were offered stay: only growth has a meaning.
    guard count > subChannelCount else { return .status(.success) }
    subChannelCount = count
    return .subChannels(count)
  }
}

extension StorvscOperation {
  /// Whether a guest of a SCSI controller may send it in some state.
  var isFromGuest: Bool {
    switch self {
    case .executeSRB, .resetLUN, .resetAdapter, .resetBus, .beginInitialization, .endInitialization,
      .queryProtocolVersion, .queryProperties, .createSubChannels:
      true
    default: false
    }
  }
}
