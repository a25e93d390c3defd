import Foundation
import Testing

extension EndToEnd {
  /// What goes wrong by the user's or the machine's fault: one clear line, the right exit code, nothing left behind.
  @Suite(.serialized) struct BadInput {
    /// The exit codes of the command line.
    enum Code: Int32 { case failed = 1, usage, notFound, notPermitted, busy }

    struct Case: CustomTestStringConvertible, Sendable {
      var testDescription: String
      var code: Code
      /// Words that the message must have.
      var words: [String]
      /// Shell commands that prepare; $1 is the scratch directory, which has a `mnt`.
      var setUp = ""
      /// The command line, run in the scratch directory.
      var arguments = ["mount", "disk.img", "mnt"]
    }

    static let cases = [
      Case(testDescription: "missing image", code: .notFound, words: ["disk.img"]),
      Case(testDescription: "directory as image", code: .usage, words: ["directory"], setUp: "mkdir disk.img"),
      Case(testDescription: "empty image", code: .usage, words: ["empty"], setUp: "touch disk.img"),
      Case(testDescription: "odd length", code: .usage, words: ["512"], setUp: "truncate -s 1000001 disk.img"),
      Case(
        testDescription: "character device as image", code: .usage, words: ["/dev/null"],
        arguments: ["mount", "/dev/null", "mnt"]),
      Case(
        testDescription: "mount point missing", code: .notFound, words: ["none"], setUp: "mkfs.ext4 -q disk.img 8M",
        arguments: ["mount", "disk.img", "none"]),
      Case(
        testDescription: "mount point is a file", code: .usage, words: ["directory"],
        setUp: "mkfs.ext4 -q disk.img 8M; touch file", arguments: ["mount", "disk.img", "file"]),
      Case(
        testDescription: "no filesystem", code: .notFound, words: ["no filesystem"],
        setUp: "truncate -s 8M disk.img"),
      Case(
        testDescription: "empty partition", code: .notFound, words: ["no filesystem"],
        setUp: "truncate -s 8M disk.img; sgdisk -n 1:0:0 disk.img"),
      Case(
        testDescription: "partition out of range", code: .notFound, words: ["partition 7"],
        setUp: "truncate -s 8M disk.img; sgdisk -n 1:0:0 disk.img",
        arguments: ["mount", "disk.img", "mnt", "--partition", "7"]),
      Case(
        testDescription: "partition of an unpartitioned disk", code: .notFound, words: ["partition 1"],
        setUp: "mkfs.ext4 -q disk.img 8M", arguments: ["mount", "disk.img", "mnt", "--partition", "1"]),
      Case(
        testDescription: "two filesystems", code: .usage, words: ["--partition", "ext4"],
        setUp: """
          truncate -s 40M disk.img; sgdisk -n 1:1M:+16M -n 2:20M:+16M disk.img
          mkfs.ext4 -q -E offset=1048576 disk.img 16M; mkfs.ext4 -q -E offset=20971520 disk.img 16M
          """),
      Case(
        testDescription: "wrong filesystem type", code: .failed, words: ["xfs"], setUp: "mkfs.ext4 -q disk.img 8M",
        arguments: ["mount", "disk.img", "mnt", "--filesystem", "xfs"]),
      Case(
        testDescription: "unknown filesystem type", code: .failed, words: ["frobfs"],
        setUp: "mkfs.ext4 -q disk.img 8M", arguments: ["mount", "disk.img", "mnt", "--filesystem", "frobfs"]),
      Case(
        testDescription: "damaged filesystem", code: .failed, words: ["ext4"],
        setUp: "mkfs.ext4 -q disk.img 8M; dd if=/dev/urandom of=disk.img bs=1k seek=2 count=60 conv=notrunc status=none"
      ),
      Case(
        testDescription: "no host at the socket", code: .notFound, words: ["host.sock"],
        arguments: ["mount", "--bus", "socket:host.sock", "lun=0:0", "mnt"]),
      Case(
        testDescription: "unknown option", code: .usage, words: ["--frob"],
        arguments: ["mount", "disk.img", "mnt", "--frob"]),
      Case(testDescription: "missing argument", code: .usage, words: [], arguments: ["mount", "disk.img"]),
      Case(
        testDescription: "unknown bus", code: .usage, words: ["carrier-pigeon"],
        arguments: ["mount", "--bus", "carrier-pigeon", "disk.img", "mnt"]),
      Case(
        testDescription: "umount of what is not mounted", code: .notFound, words: ["mnt"],
        arguments: ["umount", "mnt"]),
      Case(
        testDescription: "missing host.yaml", code: .usage, words: ["host.yaml"],
        arguments: ["host", "--config", "host.yaml"]),
      Case(
        testDescription: "unknown key in host.yaml", code: .usage, words: ["host.yaml:2", "colour"],
        setUp: #"printf 'listen: /x\ncolour: red\ncontrollers: [ { disks: [] } ]\n' > host.yaml"#,
        arguments: ["host", "--config", "host.yaml"]),
      Case(
        testDescription: "image of host.yaml missing", code: .notFound, words: ["gone.img"],
        setUp: #"printf 'listen: host.sock\ncontrollers:\n  - disks:\n      - { image: gone.img }\n' > host.yaml"#,
        arguments: ["host", "--config", "host.yaml"]),
    ]

    @Test(arguments: cases) func oneMessageAndNothingLeft(_ test: Case) throws {
      try Scratch.with { scratch in
        if !test.setUp.isEmpty { try shell(test.setUp, scratch.path, directory: scratch.path) }
        let result = try run(
          [try Program.path] + test.arguments, environment: scratch.environment, directory: scratch.path, timeLimit: 30)
        expectError(result, test.code, test.words)
        scratch.expectNothingLeft()
      }
    }

    @Test func imageInUse() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 16)
        let other = try scratch.directory("other")
        try scratch.mounted(extent.image) {
          expectError(try scratch.synthgate("mount", extent.image, other), .busy, ["disk.img"])
          try must("ls", scratch.mountPoint)
        }
      }
    }

    @Test func mountPointInUse() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 16)
        let other = try Image.plain(scratch.file("other.img"), type: "ext4", mebibytes: 16)
        try scratch.mounted(extent.image) {
          expectError(try scratch.synthgate("mount", other.image, scratch.mountPoint), .busy, [scratch.mountPoint])
        }
      }
    }

    /// A filesystem in use stays mounted, and the message says so; afterwards it can be unmounted.
    @Test func umountWhileInUse() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 16)
        try scratch.mount(extent.image)
        let user = try Command(["sleep", "600"], directory: scratch.mountPoint)
        expectError(try scratch.synthgate("umount", scratch.mountPoint), .busy, [scratch.mountPoint])
        user.send(SIGKILL)
        _ = try user.wait(timeLimit: 5)
        try scratch.unmount()
      }
    }

    /// A mount namespace that was made meanwhile keeps a filesystem alive: nothing that is written there is lost, and the
    /// message tells who has it.
    @Test func otherMountNamespace() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 16)
        try scratch.mount(extent.image)
        let other = try Command([
          "unshare", "--mount", "--propagation", "private", "bash", "-c",
          #"touch "$1/ready"; until [[ -e "$1/go" ]]; do sleep 0.1; done; echo late >"$2/late"; sleep 600"#, "test",
          scratch.path, scratch.mountPoint,
        ])
        try waitUntil("the namespace is there") { FileManager.default.fileExists(atPath: scratch.file("ready")) }
        let result = try scratch.synthgate("umount", scratch.mountPoint)
        expectError(result, .busy, [scratch.mountPoint, "mount namespace", "\(other.id)"], quietly: false)
        try must("touch", scratch.file("go"))
        usleep(500_000)
        other.send(SIGKILL)
        _ = try other.wait(timeLimit: 5)
        try waitUntil("the mount has ended") { scratch.processes.isEmpty }
        scratch.expectNothingLeft()
        try Image.check(extent, type: "ext4")
        try Image.withNativeMount(extent, type: "ext4", at: scratch.nativePoint, readOnly: true) {
          try #expect(must("cat", scratch.nativePoint + "/late") == "late\n")
        }
      }
    }

    /// Somebody who may not read the image, and has FUSE and directories of his own.
    @Test func noPermission() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 16)
        try shell(#"chmod 755 "$1"; chmod 600 "$2"; chown nobody "$1/run" "$1/mnt""#, scratch.path, extent.image)
        let program = try Program.path
        try must("cp", program, scratch.file("program"))
        let result = try run(
          [
            "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", scratch.file("program"), "mount",
            extent.image, scratch.mountPoint,
          ], environment: scratch.environment, timeLimit: 30)
        expectError(result, .notPermitted, ["disk.img"])
      }
    }

    /// A machine without /dev/fuse.
    @Test func noFUSE() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 16)
        let script = #"""
          mkdir "$1/dev"; mount -t tmpfs dev "$1/dev"
          for name in null zero urandom loop-control; do cp -a "/dev/$name" "$1/dev/"; done
          mount --bind "$1/dev" /dev
          exec "$2" mount "$3" "$1/mnt"
          """#
        let result = try run(
          [
            "unshare", "--mount", "--propagation", "private", "bash", "-c", script, "test", scratch.path,
            try Program.path, extent.image,
          ], environment: scratch.environment, timeLimit: 30)
        expectError(result, .failed, ["/dev/fuse", "modprobe"])
      }
    }

    /// Ctrl-C and SIGTERM in the middle, at any moment.
    @Test(arguments: [SIGINT, SIGTERM]) func interruptedMountLeavesNothing(signal: Int32) throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 16)
        for step in 0..<12 {
          let command = try scratch.startSynthgate("mount", extent.image, scratch.mountPoint)
          usleep(UInt32(step * step * 700))
          command.send(signal)
          let result = try command.wait(timeLimit: 20)
          // It may have been too late: then it is mounted as asked for.
          if result.code == 0 {
            try scratch.unmount()
          } else {
            scratch.expectNothingLeft()
          }
        }
      }
    }

    private func expectError(
      _ result: CommandResult, _ code: Code, _ words: [String], quietly: Bool = true,
      _ location: SourceLocation = #_sourceLocation
    ) {
      #expect(result.code == code.rawValue, "\(result.error)", sourceLocation: location)
      #expect(result.output == "", sourceLocation: location)
      let lines = result.error.split(separator: "\n")
      #expect(lines.first?.hasPrefix("synthgate: ") == true, "\(result.error)", sourceLocation: location)
      // A mistake on the command line may be followed by the usage.
      if code != .usage, quietly { #expect(lines.count == 1, "\(result.error)", sourceLocation: location) }
      for word in words {
        #expect(result.error.contains(word), "no `\(word)` in: \(result.error)", sourceLocation: location)
      }
    }
  }
}
