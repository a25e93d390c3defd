import Ethernet
import EthernetSwitch
import TapLink

/// A switch and the uplink behind it.
final class HostSwitch: Sendable {
  let ethernetSwitch: EthernetSwitch
  let uplink: Uplink
  /// The largest MTU that it passes, in bytes.
  let mtu: Int
  private let stream: StreamPort?
  private let tap: TapPort?

  /// Opens the uplink.
  ///
  /// - Parameter queueCount: queues of the uplink, if it can have several.
  /// - Throws: `.uplink` or `.tap`.
  init(name: String, uplink: Uplink, mtu: Int, queueCount: Int) throws(SyntheticHostError) {
    self.uplink = uplink
    self.mtu = mtu
    let behind: SwitchUplink
    switch uplink {
    case .none:
      (stream, tap) = (nil, nil)
      behind = .none
    case .responder(let text):
      (stream, tap) = (nil, nil)
      guard let interface = IPv4Interface(text) else {
        throw .uplink(uplink, uplink.problem ?? "it is no IPv4 address")
      }
      // Every MTU of a guest takes what is cut for 1500.
      behind = .responder(Responder(ipv4: interface, mtu: min(mtu, 1500)))
    case .stream(let path):
      tap = nil
      do throws(EthernetError) {
        var options = StreamPortOptions()
        options.mtu = mtu
        let port = try StreamPort(connectingTo: path, options: options)
        stream = port
        behind = .threaded(port)
      } catch {
        throw .uplink(uplink, "\(error)")
      }
    case .tap(let name):
      stream = nil
      do throws(TapError) {
        let port = try TapPort.open(
          TapOptions(name: name, mtu: min(mtu, 1500), queueCount: min(queueCount, 64), isUp: true))
        tap = port
        behind = .queued(port)
      } catch {
        throw .tap(name, error)
      }
    }
    do throws(EthernetError) { ethernetSwitch = try EthernetSwitch(name: name, uplink: behind) } catch {
      throw .uplink(uplink, "\(error)")
    }
  }

  /// Ends the uplink. The ports must be closed.
  func close() {
    stream?.end()
    tap?.close()
  }
}
