public import LinuxIO
import Synchronization
import WireBytes

/// Links, addresses and routes of one network namespace, over rtnetlink. May be used by any thread; calls wait for the
/// kernel, and for each other.
public final class NetlinkRoute: Sendable {
  private let socket: Mutex<NetlinkSocket>

  /// Those of the namespace of the calling thread.
  public init() throws(NetlinkError) {
    socket = Mutex(try NetlinkSocket.open())
  }

  /// Those of `namespace`; of that of the calling thread for nil.
  public static func open(in namespace: NetworkNamespace?) throws(NetlinkError) -> NetlinkRoute {
    guard let namespace else { return try NetlinkRoute() }
    return try enter(namespace) { () throws(NetlinkError) in try NetlinkRoute() }
  }

  /// Runs `body` inside of `namespace`.
  static func enter<R: Sendable>(
    _ namespace: NetworkNamespace, _ body: @escaping @Sendable () throws(NetlinkError) -> R
  ) throws(NetlinkError) -> R {
    let outcome: Result<R, NetlinkError>
    do {
      outcome = try namespace.run {
        do throws(NetlinkError) { return .success(try body()) } catch { return .failure(error) }
      }
    } catch {
      throw NetlinkError(operation: "enter the network namespace", errno: error)
    }
    return try outcome.get()
  }

  func transact(
    _ request: NetlinkMessage, flags: Int32 = 0, _ operation: String
  ) throws(NetlinkError) -> [NetlinkMessage] {
    try socket.withLock { socket throws(NetlinkError) in
      try socket.transact(request, flags: flags, operation)
    }
  }

  /// NLM_F_ flags of requests.
  enum Flags {
    static let dump: Int32 = 0x300
    static let create: Int32 = 0x400
    static let exclusive: Int32 = 0x200
    static let replace: Int32 = 0x100
  }

  // MARK: Links

  /// The link `name`; nil when there is none.
  public func link(named name: String) throws(NetlinkError) -> LinkInfo? {
    // A name that is too long would be refused in other words.
    guard !name.isEmpty, name.utf8.count <= TapDevice.maximumNameByteCount else { return nil }
    var request = NetlinkMessage(type: 18, fixedByteCount: 16)
    request.append(3, name)
    return try link(request, "look up link \(name)")
  }

  /// The link with this number; nil when there is none.
  public func link(index: Int32) throws(NetlinkError) -> LinkInfo? {
    var request = NetlinkMessage(type: 18, fixedByteCount: 16)
    request.set(index, at: 4)
    return try link(request, "look up link \(index)")
  }

  private func link(_ request: NetlinkMessage, _ operation: String) throws(NetlinkError) -> LinkInfo? {
    do {
      for message in try transact(request, operation) where message.type == 16 {
        return LinkInfo(parsing: message.payload.rawSpan)
      }
      return nil
    } catch {
      guard error.errno == .ENODEV else { throw error }
      return nil
    }
  }

  /// All links.
  public func links() throws(NetlinkError) -> [LinkInfo] {
    let messages = try transact(NetlinkMessage(type: 18, fixedByteCount: 16), flags: Flags.dump, "list links")
    return messages.compactMap { $0.type == 16 ? LinkInfo(parsing: $0.payload.rawSpan) : nil }
  }

  /// Changes the link with this number.
  ///
  /// - Throws: EPERM without CAP_NET_ADMIN, EINVAL for an MTU or address that can't be, EEXIST when the name is taken,
  ///   EBUSY when it can't be renamed while it is up, ENODEV when it is gone.
  public func change(_ index: Int32, _ change: LinkChange) throws(NetlinkError) {
    _ = try transact(change.message(index: index), "change link \(index)")
  }

  /// Deletes the link with this number.
  public func deleteLink(_ index: Int32) throws(NetlinkError) {
    var request = NetlinkMessage(type: 17, fixedByteCount: 16)
    request.set(index, at: 4)
    _ = try transact(request, "delete link \(index)")
  }
}
