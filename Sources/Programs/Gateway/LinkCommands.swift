import Ethernet
import FoundationEssentials
import LinuxIO
import NetlinkRoute
import SyntheticHost
import TapLink

extension LinkRequest {
  /// What can be said to be wrong before anything is done.
  func check() throws(GatewayError) {
    let what = "link \(name)"
    do throws(TapError) { try TapOptions.check(name: name) } catch { throw GatewayError(error, what: what) }
    guard NetworkConfiguration.mtus.contains(mtu) else {
      throw GatewayError(
        .usage, what: what, why: "an MTU of \(mtu) is not possible",
        advice: "\(NetworkConfiguration.mtus.lowerBound) to \(NetworkConfiguration.mtus.upperBound) are")
    }
    if let mac, !mac.isUsable {
      throw GatewayError(.usage, what: what, why: "\(mac) is not the address of one station")
    }
    for address in addresses {
      if address.address.isMulticast || address.address.isUnspecified {
        throw GatewayError(.usage, what: what, why: "\(address) can't be the address of one link")
      }
      if address.address.isIPv6, mtu < 1280 {
        throw GatewayError(
          .usage, what: what, why: "the address \(address) needs an MTU of 1280 at least, as all of IPv6 does",
          advice: "use --mtu 1280 or more")
      }
    }
    if let gateway, !usesDHCP || !addresses.isEmpty,
      !addresses.contains(where: { $0.contains(gateway) && $0.address.isIPv6 == gateway.isIPv6 }),
      !routes.contains(where: { $0.gateway == nil && $0.destination.contains(gateway) })
    {
      let list = addresses.map { "\($0)" }.joined(separator: ", ")
      throw GatewayError(
        .usage, what: what, why: "the gateway \(gateway) can't be reached from \(list.isEmpty ? "no address" : list)",
        advice: "give the link an --address in the gateway's network")
    }
    if uplink != nil, bus != .embedded {
      throw GatewayError(
        .usage, what: what, why: "--uplink is for the embedded host",
        advice: "the host at \(bus.text) has its uplinks in its configuration")
    }
    if bus == .embedded, let problem = network.uplink.problem {
      throw GatewayError(
        .usage, what: what, why: "uplink \(network.uplink): \(problem)", advice: "name another --uplink")
    }
  }
}

/// The links of this machine that Synthgate serves.
public func listLinks() -> [LinkReport] {
  let runtime = RuntimeDirectory.current
  runtime.cleanUpStale()
  return runtime.linkKeys().compactMap { key in
    queryStatus(LinkReport.self, at: runtime.linkDirectory(key) + "/control.sock")
  }
}

/// Takes a link down, and waits until everything of it is gone.
///
/// - Parameter progress: called each second with what is waited for.
/// - Throws: `.notFound` when Synthgate has no such link.
public func bringLinkDown(
  _ name: String, namespace: String?, progress: (String, Int) -> Void
) throws(GatewayError) {
  let runtime = RuntimeDirectory.current
  let key = LinkRequest.key(name, namespace)
  // A name with slashes would lead to another one's state.
  let isKnown = runtime.linkKeys().contains(key)
  let isStale = isKnown && (LinkRecord.load(key, in: runtime).map { !$0.isAlive } ?? false)
  runtime.cleanUpStale()
  // What a killed process left behind is gone now: that is what was asked for.
  if isStale { return }
  guard isKnown, let record = LinkRecord.load(key, in: runtime) else {
    let links = runtime.linkKeys().joined(separator: ", ")
    throw GatewayError(
      .notFound, what: "link \(name)",
      why: "Synthgate has no such link\(namespace.map { " in the namespace \($0)" } ?? "")",
      advice: links.isEmpty ? "there are none at all" : "there are: \(links)")
  }
  let process: ProcessHandle
  do throws(Errno) { process = try ProcessHandle(id: record.process) } catch { return }
  process.send(signal: 15)
  let start = monotonicNanoseconds()
  while !process.hasEnded(waiting: 1000) {
    let seconds = Int((monotonicNanoseconds() - start) / 1_000_000_000)
    progress("waiting for the end of process \(record.process)", seconds)
    if seconds >= 60 {
      throw GatewayError(
        .failed, what: "link \(name)", why: "process \(record.process) has not ended after \(seconds) seconds",
        advice: "see \(runtime.linkDirectory(key))/log")
    }
  }
  runtime.cleanUpStale()
}
