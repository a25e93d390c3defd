import LinuxIO
import Support
import VMBusClient
import VMBusServer

/// The other process of tests: `BusPeer host SOCKET` serves an echo device until it is killed.
@main
enum BusPeer {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count > 2 else { return }
    switch arguments[1] {
    case "host": try host(arguments[2], spinMicroseconds: arguments.count > 3 ? Int(arguments[3]) ?? 20 : 20)
    default: break
    }
  }

  static func host(_ path: String, spinMicroseconds: Int) throws {
    var settings = VMBusServer.Settings()
    settings.spinMicroseconds = spinMicroseconds
    let server = VMBusServer(settings)
    server.add(EchoDevice())
    try server.listen(at: path)
    while true { sleepThread(nanoseconds: 1_000_000_000) }
  }
}
