public import Ethernet
public import LinuxIO
public import NetlinkRoute

/// Why a link can't be made or changed.
public enum TapError: Error, Hashable, Sendable, CustomStringConvertible {
  /// No link can have this name; why.
  case invalidName(String, String)
  /// There is a link of this name.
  case nameTaken(String)
  /// There is no /dev/net/tun.
  case noTunDevice
  /// The process lacks a privilege for what is said.
  case notPermitted(String)
  /// There is no such network namespace.
  case namespaceMissing(String)
  /// An interface can't have this hardware address.
  case invalidHardwareAddress(MACAddress)
  /// A TAP can't have this MTU.
  case invalidMTU(Int)
  /// An interface can't have this address; the kernel's words.
  case invalidAddress(IPNetwork, NetlinkError)
  /// The gateway of the route is in no network of the link's addresses.
  case unreachableGateway(IPRoute)
  /// There is another route to the destination, over another link.
  case routeTaken(IPRoute)
  /// The link is gone.
  case lost
  /// The kernel refused something else.
  case netlink(NetlinkError)
  /// The kernel refused something else.
  case system(what: String, Errno)

  /// What is wrong, and what to do about it.
  public var description: String {
    switch self {
    case .invalidName(let name, let problem): "`\(name)` can't be the name of a link: \(problem)"
    case .nameTaken(let name): "there is a link `\(name)` already; choose another name"
    case .noTunDevice: "there is no /dev/net/tun; load the kernel module tun"
    case .notPermitted(let what): "\(what): not permitted; run it as root or with CAP_NET_ADMIN"
    case .namespaceMissing(let name): "there is no network namespace `\(name)`; see `ip netns`"
    case .invalidHardwareAddress(let address): "\(address) can't be the address of an interface"
    case .invalidMTU(let mtu): "the MTU of a TAP can't be \(mtu); it is from 68 (1280 with IPv6) to 65521"
    case .invalidAddress(let address, let error): "no interface can have the address \(address): \(error)"
    case .unreachableGateway(let route):
      "route \(route): Network is unreachable; the gateway must be in the network of an address of this link"
    case .routeTaken(let route): "route \(route): there is another route to it; give this one a metric"
    case .lost: "the link is gone"
    case .netlink(let error): "\(error)"
    case .system(let what, let errno): "\(what): \(errno)"
    }
  }

  /// The error for what netlink said.
  init(_ error: NetlinkError) {
    switch error.errno {
    // EACCES says that IPv6 is off.
    case .EPERM: self = .notPermitted(error.operation)
    case .ENODEV: self = .lost
    default: self = .netlink(error)
    }
  }

  /// The error for what happened when the TAP `name` was made.
  init(making name: String, _ errno: Errno) {
    switch errno {
    case .ENOENT, .ENODEV, .ENXIO: self = .noTunDevice
    case .EPERM, .EACCES: self = .notPermitted("make the link \(name)")
    case .EBUSY, .EEXIST: self = .nameTaken(name)
    case .ENAMETOOLONG, .EINVAL: self = .invalidName(name, "the kernel refuses it")
    default: self = .system(what: "make the link \(name)", errno)
    }
  }
}
