public import IntegrationServices
import VMBusServer

/// The integration services of a host; nil for those that it does not offer.
public struct HostServices: Sendable {
  /// Asks the guest to shut down or to restart.
  public let shutdown: ShutdownService?
  /// Asks the guest whether it is alive.
  public let heartbeat: HeartbeatService?
  /// Tells the guest the time.
  public let timeSync: TimeSyncService?
  /// Key-value pairs, and the addresses of the guest.
  public let keyValue: KeyValueService?

  init(_ choices: Set<ServiceChoice>, referenceTime: (@Sendable () -> UInt64)?) {
    shutdown = choices.contains(.shutdown) ? ShutdownService() : nil
    heartbeat = choices.contains(.heartbeat) ? HeartbeatService() : nil
    timeSync = choices.contains(.timesync) ? TimeSyncService(referenceTime: referenceTime) : nil
    keyValue = choices.contains(.kvp) ? KeyValueService() : nil
  }

  func offer(by server: VMBusServer) {
    if let shutdown { server.add(shutdown) }
    if let heartbeat { server.add(heartbeat) }
    if let timeSync { server.add(timeSync) }
    if let keyValue { server.add(keyValue) }
  }
}
