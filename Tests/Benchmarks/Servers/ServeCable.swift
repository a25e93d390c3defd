import ArgumentParser
import Ethernet
import LinuxIO
import TapLink

/// The limit of what a TAP serves here: two links of this kernel, joined by one thread, with no bus in between.
struct ServeCable: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve-cable",
    abstract: "Make two TAP links and move frames between them on one thread, until a signal.")

  @Argument(help: "Name of the first link.")
  var first: String

  @Argument(help: "Name of the second link.")
  var second: String

  @Option(help: "Network namespace of the first link; without it this one.")
  var firstNetns: String?

  @Option(help: "Network namespace of the second link; without it this one.")
  var secondNetns: String?

  func run() throws {
    let signals = try SignalQueue(endSignals)
    let ended = try EventFD()
    let ports = [
      try TapPort.open(TapOptions(name: first, namespace: firstNetns, isUp: true)),
      try TapPort.open(TapOptions(name: second, namespace: secondNetns, isUp: true)),
    ]
    let cable = try CableThread(
      name: "cable", ports[0].makeQueue(), ports[1].makeQueue(), onEnd: { _ in ended.signal() })
    for port in ports { port.setOffloads(.all) }
    _ = waitForInput([signals.descriptor, ended.descriptor], milliseconds: -1)
    cable.stop()
    for port in ports { port.close() }
  }
}
