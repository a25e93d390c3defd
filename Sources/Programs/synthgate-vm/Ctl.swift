import ArgumentParser
import LinuxIO
import SyntheticHost

struct Ctl: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Give a command to the host of a running machine (--control).",
    discussion: """
      Commands:
        disk add CONTROLLER T:L IMAGE [readOnly]   disk remove CONTROLLER T:L   disk resize CONTROLLER T:L BYTES
        controller add GUID [T:L IMAGE]            controller remove CONTROLLER
        nic add UPLINK [MAC]                       nic remove NIC               nic carrier NIC up|down
        shutdown                                   restart                      heartbeat
        kvp addresses                              kvp list                     kvp get KEY
        status
      CONTROLLER is a GUID or an index from 0, NIC a GUID, an index or a MAC address. Works with the --control socket of \
      `synthgate host`, too.
      """)

  @Argument(help: "The socket.")
  var socket: String

  @Argument(help: "The command.")
  var words: [String]

  func run() throws {
    let answer: String
    do throws(Errno) {
      answer = try HostControl.request(socket: socket, command: HostControl.command(words: words))
    } catch {
      throw Failure(
        code: error == .ENOENT || error == .ECONNREFUSED ? 3 : error == .EACCES ? 4 : 1,
        text: "\(socket): \(error); is a host running with --control \(socket)?")
    }
    guard answer == "ok" || answer.hasPrefix("ok ") else {
      throw Failure(code: 1, text: answer.hasPrefix("error ") ? String(answer.dropFirst(6)) : answer)
    }
    if answer != "ok" { print(answer.dropFirst(3)) }
  }
}
