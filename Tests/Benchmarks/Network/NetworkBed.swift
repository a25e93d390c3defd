import LinuxIO
import NetlinkRoute

/// Two network namespaces that are there as long as the workspace is.
struct NetworkBed {
  /// Namespace of the clients: A.
  let client: String
  /// Namespace of the servers: B.
  let server: String
  /// Address of `net0` in A.
  static let clientAddress = "10.77.0.2"
  /// Address of `net0` in B.
  static let serverAddress = "10.77.0.1"

  private let workspace: Workspace?
  private let ip: String

  /// The namespaces under the names that are used in explanations. Nothing is made.
  static var explained: NetworkBed { NetworkBed() }

  private init() {
    client = "A"
    server = "B"
    workspace = nil
    ip = "ip"
  }

  /// Makes the namespaces; the end of the workspace removes them.
  init(in workspace: Workspace, ip: String) throws {
    client = "synthgate-a\(ownProcess())"
    server = "synthgate-b\(ownProcess())"
    self.workspace = workspace
    self.ip = ip
    for namespace in [client, server] {
      try workspace.run([ip, "netns", "add", namespace], log: "tools.log")
      workspace.atEnd([ip, "netns", "del", namespace])
      // Without IPv6 nothing but what is measured moves over the links. A kernel that has none is as good.
      try run(
        ["/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 || true"], in: namespace)
      try workspace.run([ip, "-n", namespace, "link", "set", "lo", "up"], log: "tools.log")
    }
  }

  /// The command line of a program in a namespace.
  func command(_ arguments: [String], in namespace: String) -> [String] {
    [ip, "netns", "exec", namespace] + arguments
  }

  /// Runs a program in a namespace to its end.
  func run(_ arguments: [String], in namespace: String, log: String = "tools.log") throws {
    try workspace?.run(command(arguments, in: namespace), log: log)
  }

  /// Whether there is a `net0` in a namespace.
  func hasLink(in namespace: String) -> Bool {
    guard let space = try? NetworkNamespace(namespace), let route = try? NetlinkRoute.open(in: space) else {
      return false
    }
    return ((try? route.link(named: "net0")) ?? nil) != nil
  }

  /// Gives `net0` of both namespaces their addresses, and waits until A reaches B.
  func bringUp() throws {
    for (namespace, address) in [(client, Self.clientAddress), (server, Self.serverAddress)] {
      try workspace?.run([ip, "-n", namespace, "addr", "add", "\(address)/24", "dev", "net0"], log: "tools.log")
      try workspace?.run([ip, "-n", namespace, "link", "set", "net0", "up"], log: "tools.log")
    }
    try run(["ping", "-n", "-c", "1", "-w", "10", "-i", "0.05", Self.serverAddress], in: client)
  }

  /// Takes away what processes have not taken with them.
  func clear() {
    // The other end of a pair goes too.
    guard hasLink(in: client) else { return }
    try? workspace?.run([ip, "-n", client, "link", "del", "net0"], log: "tools.log")
  }
}
