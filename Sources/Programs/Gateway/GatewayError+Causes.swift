import DiskImage
import ImageFormats
import LinuxIO
import SyntheticHost
import TapLink
import VMBusChannel

extension GatewayError {
  /// The error of a synthetic host.
  init(_ error: SyntheticHostError, what: String) {
    switch error {
    case .image(let path, let cause):
      self.init(Self.kind(of: cause), what: what, why: "\(path): \(cause)", advice: cause.advice)
    case .listen(let path, .EADDRINUSE):
      self.init(
        .busy, what: what, why: "somebody listens at \(path) already", advice: "end that host, or use another path")
    case .listen(let path, let errno):
      self.init(
        errno == .EACCES ? .notPermitted : errno == .ENOENT ? .notFound : .failed, what: what,
        why: "listening at \(path): \(errno)", advice: errno == .ENOENT ? "create its directory" : "")
    case .uplink(let uplink, let text): self.init(.failed, what: what, why: "uplink \(uplink): \(text)")
    case .tap(let name, let cause): self.init(cause, what: what, where: "uplink tap:\(name): ")
    case .controller(let text): self.init(.usage, what: what, why: text)
    case .exists: self.init(.busy, what: what, why: "\(error)")
    case .absent: self.init(.notFound, what: what, why: "\(error)")
    }
  }

  /// A link that can't be made or changed.
  ///
  /// - Parameter place: what stands in front of the reason.
  init(_ error: TapError, what: String, where place: String = "") {
    let kind: Kind =
      switch error {
      case .invalidName, .invalidHardwareAddress, .invalidMTU, .invalidAddress, .unreachableGateway: .usage
      case .nameTaken, .routeTaken: .busy
      case .notPermitted: .notPermitted
      case .namespaceMissing: .notFound
      case .noTunDevice, .lost, .netlink, .system: .failed
      }
    // The description ends with the advice, behind a semicolon.
    let parts = "\(error)".split(separator: "; ", maxSplits: 1).map(String.init)
    self.init(kind, what: what, why: place + parts[0], advice: parts.count > 1 ? parts[1] : "")
  }

  private static func kind(of error: DiskImageError) -> Kind {
    switch error {
    case .notFound: .notFound
    case .noPermission: .notPermitted
    case .inUse: .busy
    case .fault(let fault) where fault.code == "chain.missing": .notFound
    case .server(let problem):
      switch problem.kind {
      case .absent: .notFound
      case .denied: .notPermitted
      case .usage: .usage
      case .failed: .failed
      }
    case .system, .fault: .failed
    default: .usage
    }
  }

  /// Whether somebody else drives a device that could not be opened.
  static func kind(of error: ChannelError) -> Kind {
    if case .system(_, .EBUSY) = error { .busy } else { .failed }
  }

  /// A failure to reach a bus.
  init(_ error: ChannelError, what: String, bus: BusChoice) {
    switch error {
    case .system(let step, let errno) where bus == .hyperv:
      self.init(
        errno == .EPERM || errno == .EACCES ? .notPermitted : .failed, what: what, why: "\(step): \(errno)",
        advice: errno == .ENOMEM
          ? "free some memory, or use fewer --workers or --queues"
          : errno == .EPERM ? "the process needs CAP_SYS_ADMIN, and io_uring (sysctl kernel.io_uring_disabled)" : "")
    case .system(_, .ENOENT), .system(_, .ECONNREFUSED):
      self.init(
        .notFound, what: what, why: "no host answers at \(bus.text)", advice: "start one with `synthgate host`")
    case .system(_, .EACCES), .system(_, .EPERM):
      self.init(.notPermitted, what: what, why: "no permission for \(bus.text)", advice: "run as the host's user")
    default: self.init(.failed, what: what, why: "\(error)")
    }
  }
}
