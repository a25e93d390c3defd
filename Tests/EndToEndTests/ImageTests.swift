import Foundation
import Testing

extension EndToEnd {
  /// `synthgate image`, and mounts of the formats that Hyper-V has.
  @Suite(.serialized) struct Images {
    @Test(arguments: ["vhd", "vhdx"]) func mountsOfChains(format: String) throws {
      try Scratch.with { scratch in
        let base = scratch.file("base/base.\(format)")
        _ = try scratch.directory("base")
        let extent = try Image.plain(scratch.file("plain.raw"), type: "ext4", mebibytes: 32)
        try #expect(scratch.synthgate("image", "convert", extent.image, base).code == 0)
        try scratch.mounted(base) { try must("sh", "-c", "echo one > '\(scratch.mountPoint)/file'") }
        let before = try must("sha256sum", base)
        let leaf = try scratch.directory("vm") + "/leaf.\(format)"
        try #expect(scratch.synthgate("image", "create", leaf, "--parent", base).code == 0)
        let denied = try scratch.synthgate("mount", leaf, scratch.mountPoint)
        #expect(denied.code != 0 && denied.error.contains("chain.denied"), "\(denied.error)")
        let allowed = ["--parents-in", scratch.file("base")]
        try scratch.mounted(leaf, options: allowed) {
          try #expect(must("cat", scratch.mountPoint + "/file") == "one\n")
          try must("sh", "-c", "echo two > '\(scratch.mountPoint)/file'; sync")
          let busy = try scratch.synthgate("image", "check", leaf)
          #expect(busy.code == 5 && busy.error.contains("in use"), "\(busy.error)")
          try #expect(scratch.synthgate("image", "info", leaf).code == 0, "info of what is in use")
        }
        try #expect(must("sha256sum", base) == before)
        let checked = try scratch.synthgate("image", "check", leaf, allowed[0], allowed[1])
        #expect(checked.code == 0 && checked.output.contains("nothing is wrong"), "\(checked.output)\(checked.error)")
        let info = try JSONSerialization.jsonObject(
          with: Data(scratch.synthgate("image", "info", leaf, "--json", "--chain", allowed[0], allowed[1]).output.utf8))
        let images = try #require(info as? [[String: Any]])
        #expect(images.map { $0["kind"] as? String } == ["differencing", "dynamic"])
        #expect(images.allSatisfy { $0["size"] as? Int == 32 << 20 && $0["format"] as? String == format })
        let merged = try scratch.synthgate("image", "merge", leaf, allowed[0], allowed[1])
        #expect(merged.code == 0 && !FileManager.default.fileExists(atPath: leaf), "\(merged.error)")
        try scratch.mounted(base) { try #expect(must("cat", scratch.mountPoint + "/file") == "two\n") }
      }
    }

    struct Case: CustomTestStringConvertible, Sendable {
      var testDescription: String
      var code: Int32
      /// Words that the message must have.
      var words: [String]
      /// Shell commands that prepare, run in the scratch directory with `synthgate` as $1.
      var setUp = ""
      var arguments: [String]
    }

    static let cases = [
      Case(testDescription: "missing image", code: 3, words: ["none.vhd"], arguments: ["info", "none.vhd"]),
      Case(testDescription: "no size", code: 2, words: ["--size"], arguments: ["create", "x.vhdx"]),
      Case(
        testDescription: "bad size", code: 2, words: ["10Q"], arguments: ["create", "x.vhdx", "--size", "10Q"]),
      Case(
        testDescription: "too large for VHD", code: 2, words: ["2040 GiB", "vhd.size"],
        arguments: ["create", "x.vhd", "--size", "3T"]),
      Case(
        testDescription: "existing file", code: 2, words: ["--force"], setUp: "truncate -s 1M x.vhd",
        arguments: ["create", "x.vhd", "--size", "1M"]),
      Case(
        testDescription: "unknown purpose", code: 2, words: ["moon"],
        arguments: ["create", "x.vhd", "--size", "1M", "--for", "moon"]),
      Case(
        testDescription: "damaged footer", code: 1, words: ["vhd.checksum", "byte 64"],
        setUp: "printf conectix > x.vhd; truncate -s 1M x.vhd", arguments: ["info", "x.vhd"]),
      Case(
        testDescription: "missing parent", code: 3, words: ["chain.missing", "base.vhd"],
        setUp: #""$1" image create base.vhd --size 1M; "$1" image create x.vhd --parent base.vhd; rm base.vhd"#,
        arguments: ["info", "x.vhd", "--chain"]),
      Case(
        testDescription: "changed parent", code: 1, words: ["chain.linkage", "base.vhd"],
        setUp: #"""
          "$1" image create base.vhd --size 1M; "$1" image create x.vhd --parent base.vhd
          "$1" image create base.vhd --size 1M --force
          """#, arguments: ["convert", "x.vhd", "y.raw"]),
      Case(
        testDescription: "shorter without --shrink", code: 2, words: ["--shrink"],
        setUp: #""$1" image create x.vhd --size 2M"#, arguments: ["resize", "x.vhd", "1M"]),
      Case(
        testDescription: "merge of what has no parent", code: 2, words: ["nothing to merge"],
        setUp: #""$1" image create x.vhd --size 2M"#, arguments: ["merge", "x.vhd"]),
      Case(
        testDescription: "qcow2", code: 1, words: ["qcow2", "qemu-img"],
        setUp: #"printf 'QFI\373' > x; truncate -s 1M x"#,
        arguments: ["convert", "x", "y.vhdx"]),
    ]

    @Test(arguments: cases) func oneMessageAndTheRightCode(_ test: Case) throws {
      try Scratch.with { scratch in
        if !test.setUp.isEmpty { try shell(test.setUp, try Program.path, directory: scratch.path) }
        let before = try FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted()
        let result = try run(
          [try Program.path, "image"] + test.arguments, environment: scratch.environment, directory: scratch.path,
          timeLimit: 30)
        #expect(result.code == test.code && result.output == "", "\(result.output)\(result.error)")
        #expect(result.error.hasPrefix("synthgate: "), "\(result.error)")
        if test.code != 2 { #expect(result.error.split(separator: "\n").count == 1, "\(result.error)") }
        for word in test.words { #expect(result.error.contains(word), "no `\(word)` in: \(result.error)") }
        try #expect(FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted() == before)
      }
    }

    /// A conversion that is stopped leaves nothing.
    @Test(arguments: [SIGINT, SIGTERM]) func stoppedConversion(signal: Int32) throws {
      try Scratch.with { scratch in
        try must("dd", "if=/dev/urandom", "of=\(scratch.file("big.raw"))", "bs=1M", "count=300", "status=none")
        let command = try scratch.startSynthgate(
          "image", "convert", scratch.file("big.raw"), scratch.file("big.vhdx"), "--threads", "1")
        try waitUntil("it has begun") {
          try FileManager.default.contentsOfDirectory(atPath: scratch.path).contains { $0.contains(".part") }
        }
        command.send(signal)
        let result = try command.wait(timeLimit: 20)
        let names = try FileManager.default.contentsOfDirectory(atPath: scratch.path)
        if result.code == 0 {
          #expect(names.contains("big.vhdx"), "it was faster than the signal")
        } else {
          #expect(result.code == 1 && result.error.contains("stopped"), "\(result.error)")
          #expect(!names.contains("big.vhdx"))
        }
        #expect(!names.contains { $0.contains(".part") })
      }
    }
  }
}
