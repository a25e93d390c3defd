import FoundationEssentials
import LinuxIO
import NetlinkRoute

/// A DHCP client for one link: busybox's udhcpc, which calls this program back for each event of the lease.
final class DHCPClient: Sendable {
  /// Number of its process.
  let process: Int32
  private let handle: ProcessHandle
  private let directory: String

  /// Starts the client in the namespace of the link.
  ///
  /// - Parameter directory: of the link's state; the lease stands there.
  init(_ request: LinkRequest, directory: String, what: String) throws(GatewayError) {
    self.directory = directory
    let places = ["/usr/bin/busybox", "/bin/busybox", "/usr/sbin/busybox"]
    guard let busybox = places.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      throw GatewayError(
        .failed, what: what, why: "there is no DHCP client", advice: "install the package busybox, or use --address")
    }
    let script = directory + "/dhcp-event"
    do {
      let program = try linkTarget("/proc/self/exe")
      let quoted = [program, "link", "dhcp-event", directory, request.name].map { "'\($0)'" }.joined(separator: " ")
      try Data("#!/bin/sh\nexec \(quoted) \"$1\"\n".utf8).write(to: URL(filePath: script))
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: script)
    } catch {
      throw GatewayError(.failed, what: what, why: "\(script) can't be written: \(error)")
    }
    do throws(Errno) {
      let arguments = [
        busybox, "udhcpc", "--foreground", "--interface", request.name, "--script", script, "--retries", "5",
        "--timeout", "1", "--tryagain", "2", "--release",
      ]
      let start = { @Sendable () -> Result<ProcessHandle, Errno> in
        do throws(Errno) {
          let null = try OwnedDescriptor.open("/dev/null", flags: 2)
          return .success(
            try ProcessHandle.start(arguments, input: null.number, output: null.number, error: null.number))
        } catch {
          return .failure(error)
        }
      }
      // A process that a thread starts is in the namespace of that thread.
      let result = try request.namespace.map { name throws(Errno) in try NetworkNamespace(name).run(start) } ?? start()
      handle = try result.get()
      process = handle.id
    } catch {
      throw GatewayError(.failed, what: what, why: "the DHCP client can't be started: \(error)")
    }
  }

  /// Whether the link has a lease.
  var hasLease: Bool { FileManager.default.fileExists(atPath: directory + "/lease.json") }

  /// Whether the client runs.
  var isRunning: Bool { !handle.hasEnded() }

  /// Ends the client, which gives its lease back.
  func stop() {
    handle.send(signal: 15)
    if !handle.hasEnded(waiting: 3000) { handle.send(signal: 9) }
    _ = handle.exitCode()
  }
}

/// What a lease gave the link.
private struct Lease: Codable {
  var address: String
  var router: String?
}

/// Does what the DHCP client says, in the namespace of the link: `bound`, `renew` and `deconfig`.
///
/// - Parameters:
///   - directory: of the link's state.
///   - name: of the link.
public func handleDHCPEvent(_ event: String, directory: String, name: String) throws(GatewayError) {
  let what = "DHCP lease of \(name)"
  let path = directory + "/lease.json"
  let old = readStateFile(Lease.self, at: path)
  let environment = ProcessInfo.processInfo.environment
  var new: Lease?
  if event == "bound" || event == "renew" {
    guard let ip = environment["ip"], let mask = environment["mask"] else { return }
    // udhcpc tells the length of the prefix; the router is the first of a list.
    new = Lease(address: "\(ip)/\(mask)", router: environment["router"]?.split(separator: " ").first.map(String.init))
  } else if event != "deconfig" {
    return
  }
  do throws(NetlinkError) {
    let route = try NetlinkRoute()
    guard let link = try route.link(named: name) else { return }
    if let old, old.address != new?.address, let address = try? IPNetwork(parsing: old.address) {
      try? route.removeAddress(address, from: link.index)
    }
    if let new, let address = try? IPNetwork(parsing: new.address) {
      try route.addAddress(address, to: link.index)
      if let router = new.router.flatMap({ IPAddress($0) }) {
        do throws(NetlinkError) { try route.addRoute(IPRoute(defaultVia: router), over: link.index) } catch {
          // Another default route is the administrator's.
          if error.errno != .EEXIST { throw error }
        }
      }
    }
  } catch {
    throw GatewayError(.failed, what: what, why: "\(error)")
  }
  if let new {
    try? writeStateFile(new, to: path)
  } else {
    try? removeFile(path)
  }
}
