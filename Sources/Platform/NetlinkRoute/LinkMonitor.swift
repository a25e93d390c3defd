public import LinuxIO
import Synchronization
import WireBytes

/// Reports what happens to one link, whoever does it.
public final class LinkMonitor: Sendable {
  private let socket: Mutex<NetlinkSocket>
  private let index: Int32
  private let route: NetlinkRoute

  /// Readable when there is news of any link of the namespace.
  public let descriptor: Int32

  /// What happened.
  public enum Event: Hashable, Sendable {
    /// This is how the link is now; perhaps nothing that matters has changed.
    case changed(LinkInfo)
    /// The link was deleted, or moved to another namespace.
    case gone
  }

  /// A monitor for the link `index` of `namespace`, which is that of `route`; nil stands for the calling thread's.
  public static func open(
    index: Int32, in namespace: NetworkNamespace?, route: NetlinkRoute
  ) throws(NetlinkError) -> LinkMonitor {
    guard let namespace else { return try LinkMonitor(index: index, route: route) }
    return try NetlinkRoute.enter(namespace) { () throws(NetlinkError) in
      try LinkMonitor(index: index, route: route)
    }
  }

  private init(index: Int32, route: NetlinkRoute) throws(NetlinkError) {
    var socket = try NetlinkSocket.open()
    let links: UInt32 = 1
    try socket.listen(to: links)
    self.index = index
    self.route = route
    descriptor = socket.descriptor
    self.socket = Mutex(socket)
  }

  /// What has happened since the last call, in order; never waits for news. Where news was lost, the link is asked for.
  public func events() throws(NetlinkError) -> [Event] {
    let news = try socket.withLock { socket throws(NetlinkError) in try socket.news() }
    guard let news else {
      return [try route.link(index: index).map { .changed($0) } ?? .gone]
    }
    return news.compactMap { message in
      guard let link = LinkInfo(parsing: message.payload.rawSpan), link.index == index else { return nil }
      return message.type == 17 ? .gone : message.type == 16 ? .changed(link) : nil
    }
  }
}
