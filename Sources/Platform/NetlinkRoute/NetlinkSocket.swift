import CNetlink
import LinuxIO

/// What the callbacks of a socket have collected.
final class NetlinkCollector {
  var messages: [NetlinkMessage] = []
  var failure: (errno: Errno, detail: String?)?
  var isDone = false
}

/// A socket of libnl for rtnetlink, in the network namespace of the thread that made it. Used by one thread at a time.
@safe struct NetlinkSocket: ~Copyable {
  // SAFETY: made by init, freed by deinit, never given away.
  private let socket: OpaquePointer
  private let collector: NetlinkCollector

  /// The descriptor to wait on.
  var descriptor: Int32 { unsafe nl_socket_get_fd(socket) }

  private init(adopting socket: OpaquePointer) {
    unsafe self.socket = unsafe socket
    collector = NetlinkCollector()
    // SAFETY: the collector lives as long as the socket, whose callbacks run only inside of calls of this type.
    let context = unsafe Unmanaged.passUnretained(collector).toOpaque()
    unsafe nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, onNetlinkMessage, context)
    unsafe nl_socket_modify_cb(socket, NL_CB_ACK, NL_CB_CUSTOM, onNetlinkEnd, context)
    unsafe nl_socket_modify_cb(socket, NL_CB_FINISH, NL_CB_CUSTOM, onNetlinkEnd, context)
    unsafe nl_socket_modify_err_cb(socket, NL_CB_CUSTOM, onNetlinkError, context)
  }

  /// A connected socket.
  static func open() throws(NetlinkError) -> NetlinkSocket {
    // SAFETY: the new socket is owned from here on.
    guard let socket = unsafe nl_socket_alloc() else { throw NetlinkError(operation: "netlink", errno: .ENOMEM) }
    let result = unsafe NetlinkSocket(adopting: socket)
    let code = unsafe nl_connect(result.socket, NETLINK_ROUTE)
    guard code >= 0 else { throw NetlinkSocket.failure("netlink", code) }
    // Words about errors, without the request: NETLINK_CAP_ACK, NETLINK_EXT_ACK.
    var isOn: Int32 = 1
    for option: Int32 in [10, 11] {
      _ = unsafe setsockopt(result.descriptor, 270, option, &isOn, 4)
    }
    return result
  }

  deinit {
    unsafe nl_socket_free(socket)
  }

  /// Sends a request and waits for its end.
  ///
  /// - Returns: the messages that came as its answer.
  /// - Throws: what the kernel says, under the name `operation`.
  mutating func transact(
    _ request: NetlinkMessage, flags: Int32 = 0, _ operation: String
  ) throws(NetlinkError) -> [NetlinkMessage] {
    // A dump that was overtaken by a change is asked for again.
    for _ in 0..<8 {
      collector.messages = []
      collector.failure = nil
      collector.isDone = false
      try send(request, flags, operation)
      var code: Int32 = 0
      while !collector.isDone, code >= 0 || code == -NLE_INTR {
        code = unsafe nl_recvmsgs_default(socket)
      }
      if code == -NLE_DUMP_INTR { continue }
      if let failure = collector.failure {
        throw NetlinkError(operation: operation, errno: failure.errno, detail: failure.detail)
      }
      guard collector.isDone else { throw NetlinkSocket.failure(operation, code) }
      return collector.messages
    }
    throw NetlinkError(operation: operation, errno: .EAGAIN)
  }

  private func send(
    _ request: NetlinkMessage, _ flags: Int32, _ operation: String
  ) throws(NetlinkError) {
    // SAFETY: the message is used here only and freed at the end; the payload is copied into it.
    guard let message = unsafe nlmsg_alloc_simple(Int32(request.type), flags) else {
      throw NetlinkError(operation: operation, errno: .ENOMEM)
    }
    defer { unsafe nlmsg_free(message) }
    var payload = request.payload
    var code = unsafe nlmsg_append(message, &payload, payload.count, 0)
    if code >= 0 { code = unsafe nl_send_auto(socket, message) }
    if code < 0 { throw NetlinkSocket.failure(operation, code) }
  }

  /// Makes this a socket that only listens to the multicast group `group` and never waits, with room for 4 MiB of news.
  mutating func listen(to group: UInt32) throws(NetlinkError) {
    // SAFETY: the socket is valid until deinit; the option is read during its call.
    unsafe nl_socket_disable_seq_check(socket)
    _ = unsafe nl_socket_set_buffer_size(socket, 4 << 20, 0)
    // SAFETY: as above. SO_RCVBUFFORCE goes beyond the system's limit, where that is permitted.
    var byteCount: Int32 = 4 << 20
    _ = unsafe setsockopt(descriptor, 1, 33, &byteCount, 4)
    var code = unsafe nl_socket_add_membership(socket, Int32(group))
    if code >= 0 { code = unsafe nl_socket_set_nonblocking(socket) }
    if code < 0 { throw NetlinkSocket.failure("listen to links", code) }
  }

  /// The news since the last call; nil when some were lost.
  mutating func news() throws(NetlinkError) -> [NetlinkMessage]? {
    collector.messages = []
    collector.failure = nil
    var isComplete = true
    while true {
      let code = unsafe nl_recvmsgs_default(socket)
      if code >= 0 || code == -NLE_INTR { continue }
      if code == -NLE_AGAIN { break }
      // ENOBUFS, in libnl's words.
      guard code == -NLE_NOMEM else { throw NetlinkSocket.failure("listen to links", code) }
      isComplete = false
    }
    return isComplete ? collector.messages : nil
  }

  private static func failure(_ operation: String, _ code: Int32) -> NetlinkError {
    // SAFETY: libnl answers a constant text.
    let text = unsafe nl_geterror(code).map { unsafe String(cString: $0) }
    return NetlinkError(operation: operation, errno: code == -NLE_PERM ? .EPERM : .EIO, detail: text)
  }
}

@c(synthgate_netlink_on_message)
nonisolated func onNetlinkMessage(_ message: OpaquePointer?, _ context: UnsafeMutableRawPointer?) -> Int32 {
  // SAFETY: libnl gives a whole message and the context that the socket was set up with; the bytes are copied.
  unsafe collector(context) { collector in
    guard let header = unsafe nlmsg_hdr(message), let data = unsafe nlmsg_data(header) else { return }
    let count = Int(unsafe nlmsg_datalen(header))
    let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: data, count: max(0, count)))
    collector.messages.append(NetlinkMessage(type: unsafe header.pointee.nlmsg_type, payload: bytes))
  }
  return Int32(NL_OK.rawValue)
}

@c(synthgate_netlink_on_end)
nonisolated func onNetlinkEnd(_ message: OpaquePointer?, _ context: UnsafeMutableRawPointer?) -> Int32 {
  // SAFETY: the context that the socket was set up with.
  unsafe collector(context) { $0.isDone = true }
  return Int32(NL_STOP.rawValue)
}

@c(synthgate_netlink_on_error)
nonisolated func onNetlinkError(
  _ source: UnsafeMutablePointer<sockaddr_nl>?, _ error: UnsafeMutablePointer<nlmsgerr>?,
  _ context: UnsafeMutableRawPointer?
) -> Int32 {
  // SAFETY: libnl gives the payload of a whole message, whose 16-byte header stands in front of it; the bytes are copied.
  unsafe collector(context) { collector in
    guard let error = unsafe error else { return }
    let header = unsafe UnsafeRawPointer(error) - 16
    let count = Int(unsafe header.loadUnaligned(as: UInt32.self))
    let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: header, count: max(20, count)))
    collector.failure = (
      Errno(rawValue: unsafe -error.pointee.error), extendedAcknowledgement(bytes)
    )
    collector.isDone = true
  }
  return Int32(NL_STOP.rawValue)
}

private func collector(_ context: UnsafeMutableRawPointer?, _ body: (NetlinkCollector) -> Void) {
  // SAFETY: every socket is set up with its collector, which lives as long as it does.
  if let context = unsafe context {
    unsafe body(Unmanaged<NetlinkCollector>.fromOpaque(context).takeUnretainedValue())
  }
}
