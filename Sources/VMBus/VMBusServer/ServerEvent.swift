public import VMBusChannel
public import VMBusProtocol

/// What a server tells of its guests. `guest` is the `guestID` of `GuestContext`.
public enum ServerEvent: Sendable {
  /// A guest has come; `process` is its process id, 0 when it is unknown or this one.
  case attached(guest: UInt64, process: Int32)
  /// It has agreed on a version.
  case connected(guest: UInt64, ProtocolVersion)
  /// It has opened a channel of a device.
  case opened(guest: UInt64, relid: UInt32, instance: GUID, subChannelIndex: Int)
  /// It could not open a channel.
  case openFailed(guest: UInt64, relid: UInt32, ChannelError)
  /// A channel is closed.
  case closed(guest: UInt64, relid: UInt32)
  /// It broke the protocol on a channel, which is not served any more.
  case faulted(guest: UInt64, relid: UInt32, ChannelError)
  /// It sent a control message that was dropped; told for the first ones, then ever more rarely.
  case dropped(guest: UInt64, reason: String, count: Int)
  /// It is gone, and everything of it is released.
  case detached(guest: UInt64, reason: String)
  /// A socket does not accept guests any more.
  case listeningEnded(path: String, reason: String)
}

extension ServerEvent {
  /// The event as a line of a log; nil for what happens all the time.
  public var logLine: String? {
    switch self {
    case .attached(let guest, let process): "guest \(guest): attached (process \(process))"
    case .connected(let guest, let version): "guest \(guest): connected, version \(version)"
    case .opened(let guest, let relid, let instance, let index):
      index == 0 ? "guest \(guest): opened \(instance) (relid \(relid))" : nil
    case .openFailed(let guest, let relid, let error): "guest \(guest): relid \(relid) not opened: \(error)"
    case .closed: nil
    case .faulted(let guest, let relid, let error): "guest \(guest): relid \(relid) stopped: \(error)"
    case .dropped(let guest, let reason, let count): "guest \(guest): \(count) bad messages dropped: \(reason)"
    case .detached(let guest, let reason): "guest \(guest): gone: \(reason)"
    case .listeningEnded(let path, let reason): "no longer listening at \(path): \(reason)"
    }
  }
}
