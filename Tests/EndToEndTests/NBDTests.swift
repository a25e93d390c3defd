import Foundation
import LinuxIO
import NBDSupport
import Testing

extension EndToEnd {
  /// NBD servers as disks: mounts, conversions, servers that are killed.
  @Suite(.serialized) struct NBD {
    private func qemu(_ scratch: Scratch, _ image: String, format: String) throws -> NBDServer {
      let socket = scratch.file("nbd.sock")
      // One client for qcow2: see docs/images.md.
      return try NBDServer(
        ["qemu-nbd", "-t", "-e", format == "qcow2" ? "1" : "8", "-f", format, "-k", socket, image], place: socket,
        log: scratch.file("nbd.log"))
    }

    private func nbdkit(_ scratch: Scratch, _ arguments: String...) throws -> NBDServer {
      let socket = scratch.file("nbd.sock")
      return try NBDServer(["nbdkit", "-f", "-U", socket] + arguments, place: socket, log: scratch.file("nbd.log"))
    }

    private func uri(_ scratch: Scratch) -> String { "nbd+unix:///?socket=\(scratch.file("nbd.sock"))" }

    /// A qcow2 image with ext4, by way of qemu-nbd: filled, read again after another mount, and sound for others.
    @Test func qcow2() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("plain.raw"), type: "ext4", mebibytes: 200)
        let image = scratch.file("disk.qcow2")
        try must("qemu-img", "convert", "-f", "raw", "-O", "qcow2", extent.image, image)
        let tree = try scratch.directory("tree")
        try Tree.makePlain(at: tree, seed: 5, count: 800)
        let before = try Tree.digest(tree, .contents)
        let server = try qemu(scratch, image, format: "qcow2")
        defer { server.kill() }
        try scratch.mount(uri(scratch))
        try shell(#"cp -r "$1/." "$2"; sync -f "$2""#, tree, scratch.mountPoint)
        try #expect(scratch.synthgate("umount", scratch.mountPoint).code == 0)
        try scratch.mount(uri(scratch), "-o", "ro")
        try #expect(Tree.digest(scratch.mountPoint, .contents) == before)
        try #expect(scratch.synthgate("umount", scratch.mountPoint).code == 0)
        server.kill()
        try must("qemu-img", "check", "-q", image)
        try must("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, extent.image)
        try Image.check(extent, type: "ext4")
      }
    }

    /// The server is killed under load on a filesystem and started again: with durable writes a pause, nothing else.
    @Test func killedServerIsAPause() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 300)
        let server = try qemu(scratch, extent.image, format: "raw")
        defer { server.kill() }
        try scratch.mount(uri(scratch), "--cache", "direct")
        let load = try Command(
          VerifyingLoad(
            target: "--directory=\(scratch.mountPoint)", isDirect: true, isAligned: true, mebibytesPerJob: 24,
            rateMebibytes: 4
          ).arguments)
        var kills = 0
        while load.isRunning, kills < 4 {
          usleep(UInt32(600_000 + kills * 130_000))
          server.kill()
          kills += 1
          usleep(kills % 2 == 0 ? 1_000_000 : 50_000)
          try server.start()
        }
        #expect(kills >= 3, "the load ended before the server was killed")
        let result = try load.wait(timeLimit: 120)
        #expect(result.code == 0, "\(result.output)\(result.error)")
        let logs = try shell(#"cat "$1"/run/mounts/*/log"#, scratch.path)
        #expect(logs.contains("the server is gone") && logs.contains("the server is back"), "\(logs)")
        #expect(!logs.contains("may be lost"), "\(logs)")
        try #expect(scratch.synthgate("umount", scratch.mountPoint).code == 0)
        server.kill()
        try Image.check(extent, type: "ext4")
      }
    }

    /// A server that dies with writes that were not flushed: the next flush fails, the log says why, and the mount ends in
    /// order.
    @Test func lostWritesAreTold() throws {
      try Scratch.with { scratch in
        try Image.sparse(scratch.file("disk.img"), mebibytes: 64)
        let server = try qemu(scratch, scratch.file("disk.img"), format: "raw")
        defer { server.kill() }
        try scratch.mount(uri(scratch), "--filesystem", "none")
        let whole = scratch.mountPoint + "/whole"
        let write = ["dd", "if=/dev/urandom", "of=\(whole)", "bs=64k", "count=4", "oflag=direct", "conv=notrunc"]
        try #expect(run(write).code == 0)
        server.kill()
        try server.start()
        let lost = try run(["sync", whole])
        #expect(lost.code != 0 && lost.error.contains("Input/output error"), "\(lost.error)")
        try #expect(run(write + ["conv=notrunc,fsync"]).code == 0, "once only")
        let log = try shell(#"cat "$1"/run/mounts/*/log"#, scratch.path)
        #expect(log.contains("writes may be lost that were not flushed"), "\(log)")
        try scratch.synthgateMustUnmount()
      }
    }

    /// A server that never comes back: an error after the time that was asked for, and an end of the mount.
    @Test func lostServerIsAnErrorInTheEnd() throws {
      try Scratch.with { scratch in
        let server = try nbdkit(scratch, "memory", "64M")
        try scratch.mount(uri(scratch), "--filesystem", "none", "--reconnect", "2")
        server.kill()
        let read = try run(
          ["dd", "if=\(scratch.mountPoint)/whole", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"], timeLimit: 20)
        #expect(read.code != 0 && read.seconds > 1 && read.seconds < 10, "\(read.seconds) s")
        let result = try scratch.synthgate("umount", scratch.mountPoint)
        #expect(result.code == 0, "\(result.error)")
        try must("rm", "-f", scratch.file("nbd.sock"))
      }
    }

    /// A raw disk over loopback, in a running host.
    @Test func hostOverLoopback() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 64)
        let (server, port) = try loopback(scratch, ["file", extent.image])
        defer { server.kill() }
        let host = try HostProcess(
          scratch, disks: ["{ lun: 0, image: \"nbd://127.0.0.1:\(port)/\", serial: \"remote\" }"])
        try scratch.mount("serial=remote", "--bus", host.bus)
        try must("sh", "-c", "echo hello > '\(scratch.mountPoint)/file'; sync")
        try scratch.synthgateMustUnmount()
        try host.stop()
        server.kill()
        try Image.withNativeMount(extent, type: "ext4", at: scratch.nativePoint, readOnly: true) {
          try #expect(must("cat", scratch.nativePoint + "/file") == "hello\n")
        }
      }
    }

    private func loopback(_ scratch: Scratch, _ arguments: [String]) throws -> (NBDServer, UInt16) {
      for _ in 0..<20 {
        let port = UInt16.random(in: 20000...30000)
        if let server = try? NBDServer(
          ["nbdkit", "-f", "-i", "127.0.0.1", "-p", "\(port)"] + arguments, place: "\(port)",
          log: scratch.file("nbd.log"))
        {
          return (server, port)
        }
      }
      throw CommandFailure(description: (try? String(contentsOfFile: scratch.file("nbd.log"), encoding: .utf8)) ?? "")
    }

    @Test func keysAndCertificates() throws {
      try Scratch.with { scratch in
        let keys = scratch.file("keys.psk")
        try must("psktool", "-u", "alice", "-p", keys)
        var server = try nbdkit(scratch, "--tls=require", "--tls-psk=\(keys)", "memory", "1M")
        let socket = scratch.file("nbd.sock")
        let info = try scratch.synthgate(
          "image", "info", "nbds+unix://alice@/?socket=\(socket)&tls-psk-file=\(keys)")
        #expect(info.code == 0 && info.output.contains("TLS"), "\(info.output)\(info.error)")
        let plain = try scratch.synthgate("image", "info", uri(scratch))
        #expect(plain.code == 2 && plain.error.contains("wants TLS"), "\(plain.error)")
        server.kill()
        server = try nbdkit(scratch, "memory", "1M")
        let refused = try scratch.synthgate(
          "image", "info", "nbds+unix://alice@/?socket=\(socket)&tls-psk-file=\(keys)")
        #expect(refused.code == 2 && refused.error.contains("has no TLS"), "\(refused.error)")
        server.kill()
        let pki = try scratch.directory("pki")
        try makeCertificates(pki)
        let (secure, port) = try loopback(
          scratch, ["--tls=require", "--tls-certificates=\(pki)", "file", try extent(scratch).image])
        try scratch.mount("nbds://localhost:\(port)/?tls-certificates=\(pki)")
        try must("sh", "-c", "echo secret > '\(scratch.mountPoint)/file'; sync")
        try scratch.synthgateMustUnmount()
        // The certificate is for localhost, and for nobody else.
        let other = try scratch.synthgate("image", "info", "nbds://127.0.0.1:\(port)/?tls-certificates=\(pki)")
        #expect(other.code == 1 && other.error.contains("ertificate"), "\(other.error)")
        secure.kill()
        try must("rm", "-f", socket)
      }
    }

    private func extent(_ scratch: Scratch) throws -> Extent {
      try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 64)
    }

    /// An authority, and a certificate of the server for `localhost`.
    private func makeCertificates(_ directory: String) throws {
      try shell(
        #"""
        printf 'cn = test\nca\ncert_signing_key\n' > ca.info
        certtool --generate-privkey --outfile ca-key.pem
        certtool --generate-self-signed --load-privkey ca-key.pem --template ca.info --outfile ca-cert.pem
        printf 'cn = localhost\ndns_name = localhost\ntls_www_server\nencryption_key\nsigning_key\n' > server.info
        certtool --generate-privkey --outfile server-key.pem
        certtool --generate-certificate --load-ca-certificate ca-cert.pem --load-ca-privkey ca-key.pem \
          --load-privkey server-key.pem --template server.info --outfile server-cert.pem
        """#, directory: directory)
    }

    @Test(arguments: ["vhdx", "raw"]) func conversion(format: String) throws {
      try Scratch.with { scratch in
        let image = scratch.file("disk.qcow2")
        try must("qemu-img", "create", "-q", "-f", "qcow2", image, "64M")
        try must("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 5M", "-c", "write -P 9 63M 64k", image)
        let server = try qemu(scratch, image, format: "qcow2")
        defer { server.kill() }
        let target = scratch.file("new.\(format)")
        let result = try scratch.synthgate("image", "convert", uri(scratch), target)
        #expect(result.code == 0 && result.output.contains("5 MiB copied"), "\(result.output)\(result.error)")
        server.kill()
        try must("qemu-img", "compare", "-f", "qcow2", "-F", format, image, target)
      }
    }

    struct Case: CustomTestStringConvertible, Sendable {
      var testDescription: String
      var code: Int32
      var words: [String]
      var arguments: [String]
    }

    static let cases = [
      Case(
        testDescription: "no server", code: 3, words: ["no such socket", "check that it runs"],
        arguments: ["image", "info", "nbd+unix:///?socket=/nowhere/s"]),
      Case(
        testDescription: "no server over TCP", code: 3, words: ["Connection refused"],
        arguments: ["image", "info", "nbd://127.0.0.1:1/"]),
      Case(
        testDescription: "unknown host", code: 3, words: ["the host `nowhere.invalid` is not known"],
        arguments: ["image", "info", "nbd://nowhere.invalid/"]),
      Case(
        testDescription: "no socket", code: 2, words: ["the socket is missing"],
        arguments: ["mount", "nbd+unix:///x", "DIR"]),
      Case(
        testDescription: "unknown key", code: 2, words: ["`foo` is no key here"],
        arguments: ["image", "info", "nbd://h/?foo=1"]),
      Case(
        testDescription: "check", code: 2, words: ["NBD source", "name an image file"],
        arguments: ["image", "check", "nbd://h/"]),
      Case(
        testDescription: "merge", code: 2, words: ["can't be done with an NBD source"],
        arguments: ["image", "merge", "nbd://h/"]),
      Case(
        testDescription: "create", code: 2, words: ["can't be made from here"],
        arguments: ["image", "create", "nbd://h/x", "--size", "1M"]),
    ]

    @Test(arguments: cases) func oneMessageAndTheRightCode(_ test: Case) throws {
      try Scratch.with { scratch in
        let arguments = test.arguments.map { $0 == "DIR" ? scratch.mountPoint : $0 }
        let result = try run(
          [try Program.path] + arguments, environment: scratch.environment, directory: scratch.path, timeLimit: 30)
        #expect(result.code == test.code && result.output == "", "\(result.output)\(result.error)")
        #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
        for word in test.words { #expect(result.error.contains(word), "no `\(word)` in: \(result.error)") }
      }
    }

    @Test func configurationWithAWrongURI() throws {
      try Scratch.with { scratch in
        let file = scratch.file("host.yaml")
        try "listen: /s\ncontrollers:\n  - disks:\n      - { image: \"nbd+unix:///x\" }\n".write(
          toFile: file, atomically: true, encoding: .utf8)
        let result = try scratch.synthgate("host", "--config", file, "--check")
        #expect(result.code == 2 && result.error.contains("4") && result.error.contains("the socket is missing"))
      }
    }
  }
}
