import Ethernet
import EthernetSwitch
import Netvsp
import TapLink

/// The NICs of a host, and the switches behind them.
final class HostNetworks: Sendable {
  /// In the order of the configuration.
  let nics: [SyntheticNIC]
  /// What has threads or descriptors of its own; closed at the end.
  private let streams: [StreamPort]
  private let taps: [TapPort]
  private let ports: [SwitchPort]

  /// Opens the uplinks and makes the NICs.
  ///
  /// - Throws: `.uplink` or `.tap` with the first uplink that can't be had.
  init(_ networks: [NetworkConfiguration]) throws(SyntheticHostError) {
    var switches: [String: EthernetSwitch] = [:]
    var nics: [SyntheticNIC] = []
    var streams: [StreamPort] = []
    var taps: [TapPort] = []
    var ports: [SwitchPort] = []
    for network in networks {
      let ethernetSwitch: EthernetSwitch
      if let found = switches[network.switchName] {
        ethernetSwitch = found
      } else {
        // A switch moves the frames of all its NICs: it takes the largest of their MTUs.
        let sharing = networks.filter { $0.switchName == network.switchName }
        let mtu = sharing.reduce(0) { max($0, $1.mtu) }
        let queueCount = sharing.reduce(0) { $0 + $1.queues }
        let uplink = try Self.open(network.uplink, mtu: mtu, queueCount: queueCount, &streams, &taps)
        do throws(EthernetError) {
          ethernetSwitch = try EthernetSwitch(name: network.switchName, uplink: uplink)
        } catch {
          throw .uplink(network.uplink, "\(error)")
        }
        switches[network.switchName] = ethernetSwitch
      }
      let port: SwitchPort
      do throws(EthernetError) { port = try ethernetSwitch.makePort(address: network.mac, mtu: network.mtu) } catch {
        throw .uplink(network.uplink, "\(error)")
      }
      var options = SyntheticNICOptions()
      options.maximumQueueCount = network.queues
      options.maximumMTU = network.mtu
      nics.append(SyntheticNIC(instance: network.id, address: network.mac, port: port, options: options))
      ports.append(port)
    }
    self.nics = nics
    self.streams = streams
    self.taps = taps
    self.ports = ports
  }

  private static func open(
    _ uplink: Uplink, mtu: Int, queueCount: Int, _ streams: inout [StreamPort], _ taps: inout [TapPort]
  ) throws(SyntheticHostError) -> SwitchUplink {
    switch uplink {
    case .none: return .none
    case .responder(let text):
      guard let interface = IPv4Interface(text) else {
        throw .uplink(uplink, uplink.problem ?? "it is no IPv4 address")
      }
      // Every MTU of a guest takes what is cut for 1500.
      return .responder(Responder(ipv4: interface, mtu: min(mtu, 1500)))
    case .stream(let path):
      do throws(EthernetError) {
        var options = StreamPortOptions()
        options.mtu = mtu
        let port = try StreamPort(connectingTo: path, options: options)
        streams.append(port)
        return .threaded(port)
      } catch {
        throw .uplink(uplink, "\(error)")
      }
    case .tap(let name):
      do throws(TapError) {
        let port = try TapPort.open(
          TapOptions(name: name, mtu: min(mtu, 1500), queueCount: min(queueCount, 64), isUp: true))
        taps.append(port)
        return .queued(port)
      } catch {
        throw .tap(name, error)
      }
    }
  }

  /// Ends the uplinks. The NICs must have no guests any more.
  func close() {
    for port in ports { port.close() }
    for stream in streams { stream.end() }
    for tap in taps { tap.close() }
  }
}
