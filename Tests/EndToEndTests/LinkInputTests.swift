import Foundation
import Testing

extension EndToEnd {
  /// What goes wrong with links by the user's or the machine's fault: one clear line, the right exit code, nothing left.
  @Suite(.serialized) struct LinkInput {
    struct Case: CustomTestStringConvertible, Sendable {
      var testDescription: String
      var code: BadInput.Code
      /// Words that the message must have.
      var words: [String]
      /// Shell commands that prepare the guest's namespace.
      var setUp = ""
      /// The command line.
      var arguments: [String]
    }

    /// `link up syn0` with options.
    private static func up(
      _ description: String, _ code: BadInput.Code, _ words: [String], _ options: [String], setUp: String = ""
    ) -> Case {
      Case(
        testDescription: description, code: code, words: words, setUp: setUp,
        arguments: ["link", "up", "syn0"] + options)
    }

    private static func named(_ name: String, _ description: String, _ word: String) -> Case {
      Case(testDescription: description, code: .usage, words: [word], arguments: ["link", "up", name])
    }

    private static let address = ["--address", LinkLab.address]
    private static let gone = "00000000-89ab-cdef-0123-456789abcdef"

    static let cases = [
      named("", "name empty", "empty"),
      named("abcdefghijklmnop", "name too long", "15 bytes"),
      named("a/b", "name with a slash", "slashes"),
      named("..", "name of a directory", "`..`"),
      named("../../escape", "name that leads elsewhere", "slashes"),
      named("a b", "name with a space", "spaces"),
      up("name taken", .busy, ["`syn0` already", "another name"], address, setUp: "ip link add syn0 type bridge"),
      up("no address", .usage, ["banana", "10.77.0.2/24"], ["--address", "banana"]),
      up("prefix too long", .usage, ["10.77.0.2/33", "0 to 32"], ["--address", "10.77.0.2/33"]),
      up("number too big", .usage, ["10.77.0.300/24"], ["--address", "10.77.0.300/24"]),
      up("multicast address", .usage, ["224.0.0.1/24"], ["--address", "224.0.0.1/24"]),
      up("no address at all", .usage, ["0.0.0.0/24"], ["--address", "0.0.0.0/24"]),
      up("IPv6 over a short MTU", .usage, ["1280"], ["--address", "fd77::2/64", "--mtu", "1000"]),
      up("no route", .usage, ["--route", "nonsense"], address + ["--route", "nonsense"]),
      up(
        "route to an address in a network", .usage, ["10.9.0.0/16"], address + ["--route", "10.9.0.1/16,10.77.0.1"]),
      up("route of two families", .usage, ["IPv6"], address + ["--route", "fd00::/8,10.77.0.1"]),
      up(
        "gateway of a route out of reach", .usage, ["10.88.0.1", "must be in the network"],
        address + ["--route", "10.9.0.0/16,10.88.0.1"]),
      up("gateway out of reach", .usage, ["10.78.0.1", "--address"], address + ["--gateway", "10.78.0.1"]),
      up("gateway without an address", .usage, ["10.78.0.1", "--address"], ["--gateway", "10.78.0.1"]),
      up("gateway of another family", .usage, ["fd77::1"], address + ["--gateway", "fd77::1"]),
      up("no gateway", .usage, ["--gateway", "banana"], address + ["--gateway", "banana"]),
      up("number of no NIC", .notFound, ["no NIC 7", "it has: 0"], ["--nic", "7"]),
      up("instance of no NIC", .notFound, [gone, "it has: 0"], ["--nic", gone]),
      up("nonsense for a NIC", .usage, ["`nonsense`", "it has: 0"], ["--nic", "nonsense"]),
      up("namespace missing", .notFound, ["`none`", "ip netns"], ["--netns", "none"]),
      up("namespace is a file", .notFound, ["/etc/passwd"], ["--netns", "/etc/passwd"]),
      up("MTU no number", .usage, ["abc", "--mtu"], ["--mtu", "abc"]),
      up("MTU too small", .usage, ["500", "576"], ["--mtu", "500"]),
      up("MTU too big", .usage, ["65000", "9202"], ["--mtu", "65000"]),
      up("MAC of no form", .usage, ["zz", "--mac"], ["--mac", "zz"]),
      up("MAC of a group", .usage, ["01:00:00:00:00:01"], ["--mac", "01:00:00:00:00:01"]),
      up("MAC of nobody", .usage, ["00:00:00:00:00:00"], ["--mac", "00:00:00:00:00:00"]),
      up("no queues", .usage, ["--queues", "64"], ["--queues", "0"]),
      up("unknown uplink", .usage, ["banana", "responder:"], ["--uplink", "banana"]),
      up(
        "uplink beside a host", .usage, ["--uplink", "its configuration"],
        ["--uplink", "none", "--bus", "socket:host.sock"]),
      up("responder without an address", .usage, ["responder:", "`banana`"], ["--uplink", "responder:banana"]),
      up("responder without a prefix", .usage, ["10.77.0.1/24"], ["--uplink", "responder:10.77.0.1"]),
      up(
        "uplink's name taken", .busy, ["uplink tap:vsw9", "already"], ["--uplink", "tap:vsw9"],
        setUp: "ip link add vsw9 type bridge"),
      up("uplink's name is the link's", .busy, ["syn0", "already"], ["--uplink", "tap:syn0"]),
      up("uplink's name too long", .usage, ["uplink tap:", "15 bytes"], ["--uplink", "tap:abcdefghijklmnop"]),
      up("no host", .notFound, ["host.sock", "synthgate host"], ["--bus", "socket:host.sock"]),
      Case(
        testDescription: "down of what is not there", code: .notFound, words: ["syn7", "none at all"],
        arguments: ["link", "down", "syn7"]),
      Case(
        testDescription: "down in another namespace", code: .notFound, words: ["namespace web"],
        arguments: ["link", "down", "syn7", "--netns", "web"]),
      Case(
        testDescription: "down of a path", code: .notFound, words: ["../.."], arguments: ["link", "down", "../.."]),
      host("unknown key of a network", ["host.yaml:3", "colour", "uplink"], ["{ uplink: none, colour: red }"]),
      host("network without an uplink", ["host.yaml:3", "`uplink`"], ["{ mtu: 1500 }"]),
      host("bad mac", ["host.yaml:3", "`mac`"], [#"{ mac: "01:00:00:00:00:01", uplink: none }"#]),
      host("bad mtu", ["host.yaml:3", "576 to 9202"], ["{ mtu: 100, uplink: none }"]),
      host("bad queues", ["host.yaml:3", "1 to 64"], ["{ queues: 65, uplink: none }"]),
      host(
        "two networks with one mac", ["host.yaml:4", "00:15:5d:00:00:01"],
        [#"{ mac: "00:15:5d:00:00:01", uplink: none }"#, #"{ mac: "00:15:5d:00:00:01", uplink: none }"#]),
      host(
        "two networks with one id", ["host.yaml:4", gone],
        ["{ id: \(gone), uplink: none }", "{ id: \(gone), uplink: none }"]),
      host("bad uplink", ["host.yaml:3", "tap:NAME"], ["{ uplink: carrier-pigeon }"]),
      host("bad responder", ["host.yaml:3", "10.77.0.1/24"], [#"{ uplink: "responder:10.77.0.1" }"#]),
      host("bad tap", ["host.yaml:3", "15 bytes"], [#"{ uplink: "tap:abcdefghijklmnop" }"#]),
      host(
        "two uplinks at one switch", ["host.yaml:4", "`lan`", "tap:vsw0"],
        [#"{ uplink: "tap:vsw0", switch: lan }"#, #"{ uplink: "tap:vsw1", switch: lan }"#]),
      host(
        "uplink of host.yaml taken", ["uplink tap:vsw9", "already"], [#"{ uplink: "tap:vsw9" }"#], code: .busy,
        setUp: "ip link add vsw9 type bridge"),
    ]

    /// A host.yaml with these networks, the first of which stands in line 3.
    private static func host(
      _ description: String, _ words: [String], _ networks: [String], code: BadInput.Code = .usage, setUp: String = ""
    ) -> Case {
      let list = networks.map { "  - \($0)\n" }.joined()
      return Case(
        testDescription: description, code: code, words: words,
        setUp: "cat > host.yaml <<'END'\nlisten: host.sock\nnetworks:\n\(list)END\n" + setUp,
        arguments: ["host", "--config", "host.yaml"])
    }

    @Test func oneMessageAndNothingLeft() throws {
      try LinkLab.with { lab in
        for test in Self.cases {
          try #require(try lab.inGuest(["bash", "-ec", test.setUp]).code == 0, "\(test.testDescription)")
          let before = try lab.links(in: lab.guest)
          let result = try lab.inGuest([try Program.path] + test.arguments, timeLimit: 20)
          expectError(result, test.code, test.words, test.testDescription)
          try #expect(lab.links(in: lab.guest) == before, "\(test.testDescription)")
          lab.scratch.expectNothingLeft()
          #expect(FileManager.default.fileExists(atPath: lab.scratch.path), "\(test.testDescription)")
          for name in before where name != "lo" { try must("ip", "-n", lab.guest, "link", "del", name) }
        }
      }
    }

    /// Nothing outside of the state directory is touched by a name with dots and slashes.
    @Test func namesStayInsideTheStateDirectory() throws {
      try LinkLab.with { lab in
        let result = try lab.inGuest([try Program.path, "link", "up", "../../made/it"])
        expectError(result, .usage, ["slashes"])
        #expect(!FileManager.default.fileExists(atPath: lab.scratch.file("made")))
        try lab.up(["--address", LinkLab.address])
        for name in ["", ".", "..", "syn0/", "../links/syn0"] {
          let result = try lab.inGuest([try Program.path, "link", "down", "--", name])
          #expect(result.code == 3 || result.code == 2, "`\(name)`: \(result)")
        }
        try #expect(lab.report() != nil)
        try lab.down()
      }
    }

    @Test func whatIsInUse() throws {
      try LinkLab.with { lab in
        let networks = ["{ uplink: none, mtu: 2000 }", "{ uplink: none }"]
        try lab.startHost(networks)
        func expectFailure(_ code: BadInput.Code, _ words: [String], _ arguments: String...) throws {
          let links = try lab.links(in: lab.guest)
          let result = try lab.inGuest([try Program.path, "link", "up"] + arguments + lab.bus)
          expectError(result, code, words, arguments.joined(separator: " "))
          try #expect(lab.links(in: lab.guest) == links)
          #expect(lab.scratch.stateFiles.allSatisfy { !$0.hasSuffix("/syn1") })
        }
        try expectFailure(.usage, ["several NICs", "--nic: 0 (", "1 ("], "syn1")
        try expectFailure(.notFound, ["no NIC 2", "1 ("], "syn1", "--nic", "2")
        try expectFailure(.usage, ["2000", "--mtu 2000"], "syn1", "--nic", "0", "--mtu", "3000")
        try lab.up(lab.bus + ["--nic", "0"])
        try expectFailure(.busy, ["another guest", "another NIC"], "syn1", "--nic", "0")
        try expectFailure(.busy, ["already", "link down syn0"], "syn0", "--nic", "1")
        // The one that was refused has done no harm: the link lives, and the other NIC can be had.
        try #expect(lab.report()?["carrier"] as? Bool == true)
        try lab.up("syn1", lab.bus + ["--nic", "1"])
        try lab.down("syn1")
        try lab.down()
        let second = try lab.start([try Program.path, "host", "--config", lab.scratch.file("host.yaml")], in: lab.peer)
        expectError(try second.wait(timeLimit: 10), .busy, ["host.sock", "already"], output: nil)
      }
    }

    /// A machine without /dev/net/tun.
    @Test func noTun() throws {
      try LinkLab.with { lab in
        let script = #"""
          mkdir "$1/dev"; mount -t tmpfs dev "$1/dev"
          for name in null zero urandom; do cp -a "/dev/$name" "$1/dev/"; done
          mount --bind "$1/dev" /dev
          exec "$2" link up syn0
          """#
        let result = try lab.inGuest([
          "unshare", "--mount", "--propagation", "private", "bash", "-c", script, "test", lab.scratch.path,
          try Program.path,
        ])
        expectError(result, .failed, ["/dev/net/tun", "kernel module tun"])
      }
    }

    @Test func noPrivilege() throws {
      try LinkLab.with { lab in
        try lab.startHost(["{ uplink: none }"])
        try shell(#"chmod 755 "$1"; chown nobody "$1/run""#, lab.scratch.path)
        try must("cp", try Program.path, lab.scratch.file("program"))
        let nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", lab.scratch.file("program")]
        func expectFailure(_ words: [String], _ arguments: [String]) throws {
          expectError(try lab.inGuest(nobody + ["link", "up", "syn0"] + arguments), .notPermitted, words)
          try #expect(lab.links(in: lab.guest) == ["lo"])
        }
        try expectFailure(["syn0", "CAP_NET_ADMIN"], [])
        try expectFailure([lab.peer, "CAP_NET_ADMIN"], ["--netns", lab.peer])
        try expectFailure(["no permission", "host.sock"], lab.bus)
        try shell(#"chown root "$1/run"; rm -rf "$1"/run/*"#, lab.scratch.path)
        try expectFailure(["can't be made", "SYNTHGATE_RUNTIME_DIR"], [])
      }
    }

    /// Nobody is at the socket of the uplink yet: the link comes up without carrier, and gets it when somebody is there.
    @Test func streamThatIsNotThereYet() throws {
      try LinkLab.with { lab in
        // passt wants a default route to copy.
        try must("ip", "-n", lab.peer, "route", "add", "default", "via", "10.77.0.254")
        let path = lab.scratch.file("uplink.sock")
        try lab.up(["--uplink", "stream:\(path)", "--address", LinkLab.address])
        try #expect(lab.report()?["carrier"] as? Bool == false)
        for _ in 0..<2 {
          let other = try lab.start(["passt", "--foreground", "-4", "--runas", "0", "--socket", path], in: lab.peer)
          try waitUntil("the link has carrier (\(other.error))") { try lab.report()?["carrier"] as? Bool == true }
          other.send(SIGKILL)
          _ = try other.wait(timeLimit: 5)
          try waitUntil("the link has no carrier") { try lab.report()?["carrier"] as? Bool == false }
          try FileManager.default.removeItem(atPath: path)
        }
        try lab.down()
      }
    }

    /// Ctrl-C and SIGTERM in the middle, at any moment.
    @Test(arguments: [SIGINT, SIGTERM], [false, true])
    func interruptedLinkLeavesNothing(signal: Int32, isWithDHCP: Bool) throws {
      try LinkLab.with { lab in
        let options = isWithDHCP ? ["--dhcp", "--uplink", "none"] : ["--address", LinkLab.address]
        var interrupted = 0
        for step in 0..<10 {
          let command = try lab.start([try Program.path, "link", "up", "syn0"] + options, in: lab.guest)
          usleep(UInt32(step * step * (isWithDHCP ? 4000 : 1500)))
          command.send(signal)
          let result = try command.wait(timeLimit: 20)
          // It may have been too late: then it is up as asked for.
          if result.code == 0 {
            try lab.down()
          } else {
            interrupted += 1
            lab.scratch.expectNothingLeft()
            try #expect(lab.links(in: lab.guest) == ["lo"])
          }
        }
        #expect(interrupted > 0)
      }
    }

    private func expectError(
      _ result: CommandResult, _ code: BadInput.Code, _ words: [String], _ what: String = "", output: String? = "",
      _ location: SourceLocation = #_sourceLocation
    ) {
      #expect(result.code == code.rawValue, "\(what): \(result.error)", sourceLocation: location)
      if let output { #expect(result.output == output, "\(what)", sourceLocation: location) }
      let lines = result.error.split(separator: "\n")
      #expect(lines.first?.hasPrefix("synthgate: ") == true, "\(what): \(result.error)", sourceLocation: location)
      // A mistake on the command line may be followed by the usage.
      if code != .usage { #expect(lines.count == 1, "\(what): \(result.error)", sourceLocation: location) }
      for word in words {
        #expect(result.error.contains(word), "\(what): no `\(word)` in: \(result.error)", sourceLocation: location)
      }
    }
  }
}
