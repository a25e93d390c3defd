import Foundation
import LinuxIO
import Testing
import WireBytes

/// A synthetic host in a process of its own, with the images and networks of a host.yaml.
final class HostProcess {
  private let scratch: Scratch
  private let configuration: String
  private let namespace: Namespace?
  private var command: Command?
  let socket: String
  /// Where the host takes commands.
  let control: String

  /// Writes host.yaml with a disk per line of `disks` (`{ lun: 0, image: ... }`) and a NIC per line of `networks`
  /// (`{ uplink: ... }`), and starts the host, in the namespace where its uplinks are to be.
  init(_ scratch: Scratch, disks: [String] = [], networks: [String] = [], in namespace: Namespace? = nil) throws {
    self.scratch = scratch
    self.namespace = namespace
    socket = scratch.file("host.sock")
    control = scratch.file("control.sock")
    configuration = scratch.file("host.yaml")
    var text = "listen: \(socket)\n"
    if !disks.isEmpty { text += "controllers:\n  - disks:\n" + disks.map { "      - \($0)\n" }.joined() }
    if !networks.isEmpty { text += "networks:\n" + networks.map { "  - \($0)\n" }.joined() }
    try text.write(toFile: configuration, atomically: true, encoding: .utf8)
    try start()
  }

  var bus: String { "socket:\(socket)" }
  var id: Int32? { command?.id }

  /// Starts it; it is ready when it listens.
  func start() throws {
    let command = try Command(
      (namespace?.prefix ?? []) + [try Program.path, "host", "--config", configuration, "--control", control],
      environment: scratch.environment, directory: scratch.path)
    self.command = command
    try waitUntil("the host listens at \(socket)") {
      guard command.isRunning else {
        throw CommandFailure(description: "the host has ended: \(command.output)\(command.error)")
      }
      // Connecting would be a guest; the kernel's table tells too, one for each namespace.
      return try String(contentsOfFile: "/proc/\(command.id)/net/unix", encoding: .utf8).split(separator: "\n")
        .contains { $0.hasSuffix(" " + control) }
    }
  }

  /// Gives it a command; its answer.
  func command(_ line: String) throws -> String {
    let socket = try StreamSocket.connect(to: control)
    let bytes = Array((line + "\n").utf8)
    #expect(socket.write(bytes.rawSpan) == .moved(bytes.count))
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while answer.last != UInt8(ascii: "\n") {
      guard waitForInput([socket.descriptor], milliseconds: 20_000) != 0,
        case .moved(let count) = buffer.withMutableBytes({ socket.read(into: &$0) })
      else { throw CommandFailure(description: "no answer to `\(line)`") }
      answer += buffer.prefix(count)
    }
    return String(decoding: answer.dropLast(), as: UTF8.self)
  }

  /// Kills it without a warning.
  func kill() throws {
    command?.send(SIGKILL)
    _ = try command?.wait(timeLimit: 10)
  }

  /// Ends it in order.
  func stop() throws {
    command?.send(SIGTERM)
    let result = try #require(try command?.wait(timeLimit: 10))
    #expect(result.code == 0 || result.code == 128 + SIGTERM, "\(result.error)")
    for path in [socket, control] { #expect(!FileManager.default.fileExists(atPath: path), "\(path) is left") }
  }
}

extension EndToEnd {
  /// `synthgate host` in one process, `synthgate mount --bus socket:...` in another.
  @Suite(.serialized) struct TwoProcesses {
    @Test func severalDisksAndGuests() throws {
      try Scratch.with { scratch in
        let first = try Image.plain(scratch.file("a.img"), type: "ext4", mebibytes: 300)
        let second = try Image.partitioned(scratch.file("b.img"), [("xfs", 400)])[0]
        let tree = try scratch.directory("tree")
        try Tree.makePlain(at: tree, seed: 11, count: 1500)
        let before = try Tree.digest(tree, .contents)
        let host = try HostProcess(
          scratch,
          disks: [
            "{ lun: 0, image: \(first.image) }",
            "{ lun: 5, image: \(second.image), serial: \"second\", cache: direct }",
          ])
        let other = try scratch.directory("other")
        try scratch.mount("lun=0:0", "--bus", host.bus)
        let result = try scratch.synthgate("mount", "--bus", host.bus, "serial=second", other)
        #expect(result.code == 0, "\(result.error)")
        try shell(#"cp -r "$1/." "$2" & cp -r "$1/." "$3"; wait $!; sync -f "$2""#, tree, scratch.mountPoint, other)
        try #expect(Tree.digest(scratch.mountPoint, .contents) == before)
        try #expect(Tree.digest(other, .contents) == before)
        let list = try scratch.synthgate("disks", "--bus", host.bus, "--json")
        #expect(try array(list.output).count == 2)
        try #expect(scratch.synthgate("umount", other).code == 0)
        try #expect(scratch.synthgate("umount", scratch.mountPoint).code == 0)
        try host.stop()
        for (extent, type) in [(first, "ext4"), (second, "xfs")] {
          try Image.check(extent, type: type)
          try Image.withNativeMount(extent, type: type, at: scratch.nativePoint, readOnly: true) {
            try #expect(Tree.digest(scratch.nativePoint, .contents) == before)
          }
        }
      }
    }

    /// The host is killed in the middle of a verified load, and started again: the load notices a pause, nothing else.
    @Test(arguments: [(DiskFormat.raw, true), (.raw, false), (.vhdx, true), (.vhdx, false)])
    func killedHostIsAPause(format: DiskFormat, onExt4: Bool) throws {
      try Scratch.with { scratch in
        let disk = try scratch.disk(format, type: "ext4", mebibytes: 400)
        let host = try HostProcess(scratch, disks: ["{ lun: 0, image: \(disk) }"])
        try scratch.mount("lun=0:0", "--bus", host.bus, "--filesystem", onExt4 ? "ext4" : "none")
        let target = onExt4 ? "--directory=\(scratch.mountPoint)" : "--filename=\(scratch.mountPoint)/whole"
        let load = try Command(
          VerifyingLoad(
            target: target, isDirect: true, isAligned: true, mebibytesPerJob: 48,
            rateMebibytes: Program.isLong ? 2 : 8
          ).arguments)
        var kills = 0
        while load.isRunning, kills < (Program.isLong ? 12 : 4) {
          usleep(UInt32(700_000 + kills * 130_000))
          try host.kill()
          kills += 1
          usleep(kills % 2 == 0 ? 1_200_000 : 50_000)
          try host.start()
        }
        #expect(kills >= 3, "the load ended before the host was killed")
        let result = try load.wait(timeLimit: 300)
        #expect(result.code == 0, "\(result.output)\(result.error)")
        print("the host was killed \(kills) times under load")
        try scratch.synthgateMustUnmount()
        try host.stop()
        if onExt4 { try scratch.check(disk, type: "ext4") }
      }
    }

    /// A host that never comes back: an error after the time that was asked for, no hang.
    @Test func lostHostIsAnErrorInTheEnd() throws {
      try Scratch.with { scratch in
        try Image.sparse(scratch.file("disk.img"), mebibytes: 64)
        let host = try HostProcess(scratch, disks: ["{ lun: 0, image: \(scratch.file("disk.img")) }"])
        try scratch.mount("lun=0:0", "--bus", host.bus, "--filesystem", "none", "--reconnect", "2")
        try host.kill()
        let read = try run(
          ["dd", "if=\(scratch.mountPoint)/whole", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"], timeLimit: 20)
        #expect(read.code != 0)
        #expect(read.seconds > 1 && read.seconds < 10, "\(read.seconds) s")
        try scratch.synthgateMustUnmount()
        try must("rm", "-f", host.socket)
      }
    }

    /// A killed gateway wedges nothing; the host and the next command go on.
    @Test(arguments: [(DiskFormat.raw, true), (.raw, false), (.vhdx, true)])
    func killedGatewayLeavesNothing(format: DiskFormat, isEmbedded: Bool) throws {
      try Scratch.with { scratch in
        let disk = try scratch.disk(format, type: "ext4", mebibytes: 400)
        let host = isEmbedded ? nil : try HostProcess(scratch, disks: ["{ lun: 0, image: \(disk) }"])
        let options = host.map { ["--bus", $0.bus] } ?? []
        let source = isEmbedded ? disk : "lun=0:0"
        func mount() throws {
          let result = try run(
            [try Program.path, "mount", source, scratch.mountPoint] + options, environment: scratch.environment)
          #expect(result.code == 0, "\(result.error)")
        }
        try mount()
        let load = try Command(
          VerifyingLoad(
            target: "--directory=\(scratch.mountPoint)", isDirect: true, isAligned: true, seconds: 60
          ).arguments)
        sleep(1)
        kill(try scratch.gatewayProcess(), SIGKILL)
        let result = try load.wait(timeLimit: 60)
        #expect(result.code != 0, "the load must notice that its disk is gone")
        // Any command cleans up.
        let list = try scratch.synthgate("disks", "--json", timeLimit: 20)
        #expect(list.code == 0, "\(list.error)")
        try #expect(array(list.output).isEmpty)
        try waitUntil("the mount is gone") { scratch.mounts.isEmpty && scratch.loopDevices.isEmpty }
        #expect(scratch.stateFiles == [])
        // And the same disk can be mounted again at the same place.
        try mount()
        try must("ls", "-l", scratch.mountPoint)
        try scratch.synthgateMustUnmount()
        try host?.stop()
        try scratch.check(disk, type: "ext4")
      }
    }
  }
}

extension Scratch {
  /// Unmounts while a host still runs.
  func synthgateMustUnmount() throws {
    let result = try synthgate("umount", mountPoint)
    guard result.code == 0 else { throw CommandFailure(description: "umount: \(result.error)") }
    #expect(mounts == [])
  }
}

/// The objects of a JSON array.
func array(_ text: String) throws -> [[String: Any]] {
  try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]], "\(text)")
}
