import ArgumentParser
import Gateway
import LinuxIO

/// The command line. Exit codes: 0 done, 1 failed at run time, 2 usage or configuration, 3 not found, 4 not permitted,
/// 5 busy.
@main
struct Synthgate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synthgate",
    abstract: "Synthetic (Hyper-V) disks as ordinary Linux mounts, synthetic NICs as ordinary links.",
    discussion: """
      Disks and network cards of Hyper-V are synthetic devices on VMBus. Synthgate drives that bus from user space: a disk \
      image is served by an embedded synthetic host (or by `synthgate host` in another process) over the real VMBus \
      protocol, driven by storvsc, shown as files by FUSE, and mounted; a synthetic NIC is driven by netvsc and becomes a link.

      Examples:
        synthgate mount disk.img /mnt/data            mount the filesystem on an image, read-write
        synthgate mount disk.img /mnt -o ro --partition 2
        synthgate mount disk.img /mnt --filesystem none   only the raw view: whole, p1, ..., info.json
        synthgate disks                               what is there
        synthgate umount /mnt/data                    take everything away again
        synthgate link up syn0 --address 10.77.0.2/24 --gateway 10.77.0.1
        synthgate links ; synthgate link down syn0

      In a guest of Hyper-V, as root, with the kernel's uio_hv_generic:
        synthgate attach scsi-1a2b3c4d                take a controller from hv_storvsc (`synthgate devices` lists them)
        synthgate mount disk0p1 /srv/data             mount a partition of one of its disks
        synthgate detach --all                        give everything back

      Exit codes: 0 done; 1 failed at run time; 2 usage or configuration; 3 not found (device, disk, image); 4 not \
      permitted; 5 busy. Errors go to standard error as `synthgate: WHAT: WHY; DO`.
      """,
    version: "0.1.0",
    subcommands: [
      Mount.self, Umount.self, Disks.self, Devices.self, Attach.self, Detach.self, Link.self, Links.self,
      Status.self, Host.self,
    ])

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as GatewayError {
      writeError("synthgate: \(error)")
      endProcess(error.kind.rawValue)
    } catch {
      // Help and version are "errors" with the exit code 0; everything else is a mistake on the command line.
      let text = fullMessage(for: error)
      if exitCode(for: error).isSuccess {
        print(text)
        endProcess(0)
      }
      writeError(text.hasPrefix("Error: ") ? "synthgate: " + text.dropFirst(7) : text)
      endProcess(GatewayError.Kind.usage.rawValue)
    }
  }
}
