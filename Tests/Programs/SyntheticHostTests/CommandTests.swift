import Ethernet
import Support
import Testing
import VMBusProtocol

@testable import SyntheticHost

@Suite struct CommandTests {
  private let id = GUID(1, 2, 3, 4)

  @Test func commandsAreRead() throws {
    let cases: [(String, HostCommand)] = [
      (
        "disk add 0 0:1 /a/b.img",
        .addDisk(controller: .index(0), target: 0, lun: 1, image: "/a/b.img", readOnly: false)
      ),
      (
        #"  disk add {00000001-0002-0003-0000-000000000004} 1:63 "/a b\"\\.img" readOnly "#,
        .addDisk(controller: .instance(id), target: 1, lun: 63, image: #"/a b"\.img"#, readOnly: true)
      ),
      ("disk remove 2 0:0", .removeDisk(controller: .index(2), target: 0, lun: 0)),
      ("disk resize 0 0:1 1073741824", .resizeDisk(controller: .index(0), target: 0, lun: 1, byteCount: 1 << 30)),
      ("controller add \(id)", .addController(id)),
      ("controller add \(id) 1:3 /a", .addController(id, target: 1, lun: 3, image: "/a")),
      ("controller remove \(id)", .removeController(.instance(id))),
      ("nic add none", .addNIC(.none, nil)),
      ("nic add tap:vsw0 00:15:5D:00:00:09", .addNIC(.tap("vsw0"), MACAddress("00:15:5d:00:00:09"))),
      ("nic remove 00:15:5d:00:00:09", .removeNIC(.address(MACAddress("00:15:5d:00:00:09")!))),
      ("nic carrier 1 down", .setCarrier(.index(1), isUp: false)),
      ("nic\tcarrier 1 up", .setCarrier(.index(1), isUp: true)),
      ("shutdown", .shutdown), ("restart", .restart), ("heartbeat", .heartbeat), ("status", .status),
      ("kvp addresses", .addresses), ("kvp list", .listPairs), (#"kvp get "a b""#, .getPair("a b")),
    ]
    for (line, command) in cases {
      #expect(try HostCommand(parsing: line) == command, "\(line)")
    }
  }

  @Test func mistakesAreRefusedWithTheRightForm() {
    let cases: [(String, String)] = [
      ("", "there is no command"), ("   ", "there is no command"), ("reboot", "reboot is no command"),
      ("Disk add 0 0:0 a", "is no command"), ("disk", "usage: disk add"), ("disk add 0 0:0", "usage: disk add"),
      ("disk add 0 0:0 a b", "usage: disk add"), ("disk add x 0:0 a", "usage: disk add"),
      ("disk add 0 2:0 a", "targets are 0 and 1"), ("disk add 0 0:64 a", "LUNs 0 to 63"),
      ("disk add 0 0 a", "no address of a disk"), ("disk add 0 +0:0 a", "no address of a disk"),
      ("disk add 0 99999999999999999999:0 a", "no address of a disk"), ("disk resize 0 0:0 -1", "usage: disk"),
      ("disk resize 0 0:0 1G", "usage: disk"), ("disk remove 0 0:0 x", "usage: disk"),
      ("controller add 0", "usage: controller"), ("controller add \(id) 0:0", "usage: controller"),
      ("controller add \(id) 2:0 /a", "2:0 is no address"), ("controller add \(GUID.zero)", "usage: controller"),
      ("controller", "usage: controller"), ("nic add", "usage: nic"), ("nic add bridge:x", "is no uplink"),
      ("nic add tap:a/b", "a/b"), ("nic add none ff:ff:ff:ff:ff:ff", "no address of one station"),
      ("nic carrier 0 on", "usage: nic"), ("nic remove eth0", "usage: nic"), ("kvp", "usage: kvp"),
      ("kvp get", "usage: kvp"), ("kvp set a b", "usage: kvp"), ("shutdown now", "usage: shutdown"),
      ("status \"", "a quote is not closed"),
    ]
    for (line, part) in cases {
      do throws(HostCommand.Fault) {
        let command = try HostCommand(parsing: line)
        Issue.record("\(line) is \(command)")
      } catch {
        #expect(error.text.contains(part), "\(line): \(error.text)")
      }
    }
  }

  @Test func wordsSurviveALine() {
    for words in [
      ["disk", "add", "0", "0:1", "/tmp/my disk.img"], ["kvp", "get", "a\nb\"c\\d\te\r"], ["x", "", "\u{fc}\u{1f600}"],
    ] {
      let line = HostControl.command(words: words)
      #expect(!line.contains("\n"))
      #expect(CommandWords.split(line) == words)
    }
    #expect(CommandWords.alwaysQuote("a\u{0}\u{1b}[0m\u{7f}") == "\"a??[0m?\"")
    #expect(!SyntheticHost.failure("a\nb\rc").contains { $0.isNewline })
  }

  @Test func randomLinesNeverTrap() {
    var random = RandomNumbers(seed: 3)
    let words = [
      "disk", "add", "remove", "resize", "0", "0:1", "1:", ":", "\"", "\\", "nic", "carrier", "up", "controller", "kvp",
      "get", "none", "tap:x", "\u{0}", "99999999999999999999999", "status", "\(GUID(1, 2, 3, 4))", " ", "\t",
    ]
    var accepted = 0
    for _ in 0..<5000 {
      var line = ""
      for _ in 0..<Int(random.next() % 6) {
        line += words[Int(random.next() % UInt64(words.count))] + (random.next() & 7 == 0 ? "" : " ")
      }
      if (try? HostCommand(parsing: line)) != nil { accepted += 1 }
    }
    #expect(accepted > 20)
  }

  @Test func servicesInTheConfiguration() throws {
    let configuration = try HostConfiguration(yaml: "services: [kvp, shutdown]", file: "h")
    #expect(configuration.services == [.kvp, .shutdown])
    #expect(try HostConfiguration(yaml: "controllers:\n  - {}", file: "h").services == [])
    for (text, problem) in [
      ("services: [vss]", "h:1: a service must be one of shutdown, heartbeat, timesync, kvp"),
      ("services: [kvp, kvp]", "h:1: the service kvp is named twice"),
      ("services: kvp", "h:1: `services` must be a list"),
      ("services:\n  - kvp\n  - {}", "h:3: a service must be one of"), ("services: []", "h:1: the host offers nothing"),
      ("service: [kvp]", "h:1: unknown key `service`"),
    ] {
      do throws(ConfigurationError) {
        _ = try HostConfiguration(yaml: text, file: "h")
        Issue.record("\(text) was accepted")
      } catch {
        #expect("\(error)".hasPrefix(problem), "\(error)")
      }
    }
  }
}
