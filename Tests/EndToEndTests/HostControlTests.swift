import Foundation
import Testing

extension EndToEnd {
  /// A host that is changed while guests use it.
  @Suite(.serialized) struct HostControls {
    private func disks(_ scratch: Scratch, _ host: HostProcess) throws -> [(lun: Int, size: Int)] {
      let list = try scratch.synthgate("disks", "--bus", host.bus, "--json")
      #expect(list.code == 0, "\(list.error)")
      return try array(list.output).map { disk in
        (try #require(disk["lun"] as? Int), try #require(disk["size"] as? Int))
      }.sorted { $0.lun < $1.lun }
    }

    /// A disk is added, filled, resized and removed beside one under a verified load.
    @Test func disksBesideOneInUse() throws {
      try Scratch.with { scratch in
        let used = try Image.plain(scratch.file("used.img"), type: "ext4", mebibytes: 300)
        let other = try Image.plain(scratch.file("the other.img"), type: "ext4", mebibytes: 64)
        let host = try HostProcess(scratch, disks: ["{ lun: 0, image: \(used.image) }"])
        try scratch.mount("lun=0:0", "--bus", host.bus)
        let load = try Command(
          VerifyingLoad(
            target: "--directory=\(scratch.mountPoint)", isDirect: true, isAligned: true, mebibytesPerJob: 48,
            rateMebibytes: 8
          ).arguments)
        let point = try scratch.directory("other")
        for round in 0..<3 {
          try #expect(host.command(#"disk add 0 0:1 "\#(other.image)""#) == "ok")
          try #expect(disks(scratch, host).map(\.lun) == [0, 1])
          let mounted = try scratch.synthgate("mount", "--bus", host.bus, "lun=0:1", point)
          #expect(mounted.code == 0, "\(mounted.error)")
          try shell(
            #"test -z "$2" || test "$(cat "$1/file")" = "$2"; echo "$3" > "$1/file""#, point,
            round == 0 ? "" : "\(round - 1)", "\(round)")
          try #expect(scratch.synthgate("umount", point).code == 0)
          let size = (80 + 16 * round) * Image.mebibyte
          try #expect(host.command("disk resize 0 0:1 \(size)") == "ok")
          try #expect(disks(scratch, host).map(\.size) == [300 * Image.mebibyte, size])
          try #expect(host.command("disk remove 0 0:1") == "ok")
          try #expect(disks(scratch, host).map(\.lun) == [0])
        }
        #expect(load.isRunning, "the load has ended before the changes")
        let result = try load.wait(timeLimit: 120)
        #expect(result.code == 0, "\(result.output)\(result.error)")
        try scratch.synthgateMustUnmount()
        try host.stop()
        try Image.check(used, type: "ext4")
        try Image.check(other, type: "ext4")
      }
    }

    /// A disk is taken from under a mount: an error, no hang; the others go on.
    @Test func aDiskInUseIsRemoved() throws {
      try Scratch.with { scratch in
        let used = try Image.plain(scratch.file("used.img"), type: "ext4", mebibytes: 64)
        try Image.sparse(scratch.file("raw.img"), mebibytes: 64)
        let host = try HostProcess(
          scratch, disks: ["{ lun: 0, image: \(used.image) }", "{ lun: 1, image: \(scratch.file("raw.img")) }"])
        try scratch.mount("lun=0:1", "--bus", host.bus, "--filesystem", "none")
        let read = ["dd", "if=\(scratch.mountPoint)/whole", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"]
        try #expect(run(read, timeLimit: 20).code == 0)
        try #expect(host.command("disk remove 0 0:1") == "ok")
        let after = try run(read, timeLimit: 20)
        #expect(after.code != 0 && after.seconds < 10)
        // The image is free for others.
        try #expect(host.command("disk add 0 1:5 \(scratch.file("raw.img"))") == "ok")
        let point = try scratch.directory("other")
        let mounted = try scratch.synthgate("mount", "--bus", host.bus, "lun=0:0", point)
        #expect(mounted.code == 0, "\(mounted.error)")
        try #expect(scratch.synthgate("umount", point).code == 0)
        try scratch.synthgateMustUnmount()
        try host.stop()
      }
    }

    /// NICs are added, unplugged and removed beside one with traffic.
    @Test func nicsBesideOneInUse() throws {
      try Scratch.with { scratch in
        let guest = try scratch.namespace("guest")
        let host = try HostProcess(
          scratch, networks: [#"{ mac: "00:15:5d:00:00:01", uplink: "responder:10.77.0.1/24" }"#])
        func up(_ name: String, _ nic: String, _ address: String) throws {
          let result = try run(
            guest.prefix + [
              try Program.path, "link", "up", name, "--bus", host.bus, "--nic", nic, "--address", address,
            ], environment: scratch.environment)
          #expect(result.code == 0, "\(result.error)")
        }
        try up("syn0", "0", "10.77.0.2/24")
        let ping = try Command(guest.prefix + ["ping", "-i", "0.05", "-w", "20", "10.77.0.1"])
        func carrier(_ name: String) throws -> Bool {
          (try #require(try guest.link(name))["flags"] as? [String])?.contains("LOWER_UP") == true
        }
        for round in 0..<2 {
          try #expect(host.command("nic add responder:10.78.0.1/24 00:15:5d:00:00:02").hasPrefix("ok "))
          try up("syn1", "1", "10.78.0.2/24")
          try waitUntil("the new NIC works") {
            try run(guest.prefix + ["ping", "-q", "-c", "1", "-W", "0.2", "10.78.0.1"]).code == 0
          }
          try #expect(host.command("nic carrier 00:15:5d:00:00:02 down") == "ok")
          try waitUntil("the carrier goes", seconds: 5) { try !carrier("syn1") }
          try #expect(host.command("nic carrier 1 up") == "ok")
          try waitUntil("the carrier comes", seconds: 5) { try carrier("syn1") }
          try #expect(host.command("nic remove 1") == "ok")
          try waitUntil("the carrier goes with its NIC", seconds: 5) { try !carrier("syn1") }
          if round == 0 {
            // The link waits for its NIC, and finds it again.
            try #expect(host.command("nic add responder:10.78.0.1/24 00:15:5d:00:00:02").hasPrefix("ok "))
            try waitUntil("the carrier comes back", seconds: 10) { try carrier("syn1") }
            try #expect(host.command("nic remove 00:15:5d:00:00:02") == "ok")
          }
          let down = try run(
            guest.prefix + [try Program.path, "link", "down", "syn1"], environment: scratch.environment)
          #expect(down.code == 0, "\(down.error)")
        }
        #expect(ping.isRunning)
        ping.send(SIGINT)
        let result = try ping.wait(timeLimit: 5)
        #expect(result.output.contains(" 0% packet loss"), "\(result.output.suffix(300))")
        let down = try run(guest.prefix + [try Program.path, "link", "down", "syn0"], environment: scratch.environment)
        #expect(down.code == 0, "\(down.error)")
        try host.stop()
      }
    }
  }
}
