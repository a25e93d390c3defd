import ArgumentParser
import Ethernet
import LinuxIO
import TapLink

/// The limit of what moves frames between two TAPs in user space: one thread that reads here and writes there.
struct ForwardFrames: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forward-frames",
    abstract: "Join net0 in the network namespace A with net0 in B, until a signal.", shouldDisplay: false)

  @Argument(help: "A network namespace.")
  var first: String

  @Argument(help: "Another one.")
  var second: String

  @Flag(help: "Take finished frames only: no segmentation, no checksums left to others.")
  var plain = false

  func run() throws {
    let signals = try SignalQueue(endSignals)
    let ports = try [first, second].map { try TapPort.open(TapOptions(name: "net0", namespace: $0)) }
    let ended = try EventFD()
    let cable = try CableThread(name: "forward", ports[0].makeQueue(), ports[1].makeQueue()) { _ in ended.signal() }
    for port in ports { port.setOffloads(plain ? [] : .all) }
    _ = waitForInput([signals.descriptor, ended.descriptor], milliseconds: -1)
    cable.stop()
    for port in ports { port.close() }
  }
}
