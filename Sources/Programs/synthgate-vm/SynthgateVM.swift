import ArgumentParser
import LinuxIO

/// The command line. Exit codes: those of synthgate (0 done, 1 failed at run time, 2 usage or configuration, 3 not found,
/// 4 not permitted), 70 when the guest has crashed, 71 when it has reset itself; or what the guest has chosen.
@main
struct SynthgateVM: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synthgate-vm",
    abstract: "A virtual machine whose guest believes that it runs on Hyper-V.",
    discussion: """
      Boots a Linux kernel on KVM. Its disks and NICs are synthetic devices on VMBus, served by Synthgate's synthetic host \
      and driven by the kernel's own hv_storvsc and hv_netvsc, or by `synthgate attach` through uio_hv_generic.

      Examples:
        synthgate-vm --kernel vmlinuz --initrd initrd --disk data.img --nic responder:10.77.0.1/24
        synthgate-vm --kernel vmlinuz --initrd initrd --config host.yaml --cpus 2 --control /run/vm.sock
        synthgate-vm ctl /run/vm.sock shutdown

      The guest's first serial port (ttyS0) is the terminal: Ctrl-A x ends the machine. A line `exit N` that the guest \
      writes to its second one (ttyS1) makes N the exit code of a later power-off.

      Exit codes: 0 the guest has switched itself off; 1 failed at run time; 2 usage or configuration; 3 not found; 4 not \
      permitted; 70 the guest has crashed; 71 it has reset itself.
      """,
    version: "0.1.0",
    subcommands: [Run.self, Ctl.self],
    defaultSubcommand: Run.self)

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      writeError("synthgate-vm: \(failure.text)")
      endProcess(failure.code)
    } catch {
      let text = fullMessage(for: error)
      if exitCode(for: error).isSuccess {
        print(text)
        endProcess(0)
      }
      writeError(text.hasPrefix("Error: ") ? "synthgate-vm: " + text.dropFirst(7) : text)
      endProcess(2)
    }
  }
}

/// A failure of a command.
struct Failure: Error {
  let code: Int32
  let text: String
}

/// Writes a line to standard error.
func writeError(_ line: String) {
  try? writeAll(Array((line + "\n").utf8), to: 2)
}
