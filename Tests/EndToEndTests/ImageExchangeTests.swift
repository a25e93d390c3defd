import Foundation
import Testing

extension EndToEnd {
  /// One image, written in turn through the whole chain to a mount and by QEMU's storage daemon, beside a raw file that gets
  /// the same bytes: each finds what the other has written, and at the end all readers agree.
  @Suite(.serialized) struct ImageExchange {
    enum Maker: String, Sendable { case synthgate, qemu }

    struct Case: CustomTestStringConvertible, Sendable {
      var maker: Maker
      var format: String
      var block: String
      var mebibytes = 12
      var testDescription: String { "\(format) in blocks of \(block), made by \(maker)" }
      /// What QEMU calls the format.
      var driver: String { format == "vhd" ? "vpc" : format }
      var seed: UInt64 { testDescription.utf8.reduce(1) { $0 &* 31 &+ UInt64($1) } }
    }

    static let cases =
      [Maker.synthgate, .qemu].flatMap { maker in
        ["1M", "2M", "8M", "32M", "256M"].map {
          Case(maker: maker, format: "vhdx", block: $0, mebibytes: $0 == "32M" ? 36 : 12)
        }
      } + [
        Case(maker: .synthgate, format: "vhd", block: "512K"), Case(maker: .synthgate, format: "vhd", block: "2M"),
        Case(maker: .qemu, format: "vhd", block: "2M"),
      ]

    @Test(arguments: cases) func writtenInTurn(_ test: Case) throws {
      try Scratch.with { scratch in
        var generator = Generator(state: test.seed)
        let noise = generator.data(1 << 20)
        let raw = scratch.file("model.raw")
        try Image.sparse(raw, mebibytes: test.mebibytes)
        let byteCount = test.mebibytes << 20
        try writeRandomly([raw], byteCount, count: 20, noise, &generator)
        let image = scratch.file("disk.\(test.format)")
        try make(test, image, of: raw)
        for writer in test.maker == .qemu ? [Maker.synthgate, .qemu, .synthgate] : [.qemu, .synthgate, .qemu] {
          try serving(test, image, by: writer, scratch, byteCount) { whole in
            try must("cmp", raw, whole)
            try writeRandomly([raw, whole], byteCount, count: 40, noise, &generator)
            try must("cmp", raw, whole)
          }
        }
        if test.format == "vhdx" { try must("qemu-img", "check", "-q", "-f", test.driver, image) }
        try must("qemu-img", "compare", "-q", "-f", "raw", "-F", test.driver, raw, image)
        let check = try scratch.synthgate("image", "check", image)
        #expect(check.code == 0, "\(check.output)\(check.error)")
        // A third reader, that shares no code with either.
        let theirs = try must("/usr/bin/python3", "-c", Self.digestByLibvhdi, image).split(separator: "\n")
        try #expect(theirs.first == must("sha256sum", raw).split(separator: " ").first)
      }
    }

    private static let digestByLibvhdi = """
      import hashlib, pyvhdi, sys
      image = pyvhdi.file(); image.open(sys.argv[1])
      left, digest = image.get_media_size(), hashlib.sha256()
      while left:
        part = image.read_buffer(min(left, 1 << 20)); digest.update(part); left -= len(part)
      print(digest.hexdigest())
      """

    private func make(_ test: Case, _ image: String, of raw: String) throws {
      switch test.maker {
      case .synthgate: try must(Program.path, "image", "convert", raw, image, "--block-size", test.block)
      case .qemu:
        let options = test.format == "vhdx" ? "block_size=\(test.block)" : "force_size=on"
        try must("qemu-img", "convert", "-f", "raw", "-O", test.driver, "-o", options, raw, image)
      }
    }

    /// Runs `body` while somebody shows the disk as a file.
    private func serving(
      _ test: Case, _ image: String, by writer: Maker, _ scratch: Scratch, _ byteCount: Int,
      _ body: (String) throws -> Void
    ) throws {
      if writer == .synthgate {
        return try scratch.mounted(image, options: ["--filesystem", "none"]) { try body(scratch.mountPoint + "/whole") }
      }
      let whole = scratch.file("whole")
      _ = FileManager.default.createFile(atPath: whole, contents: nil)
      let daemon = try Command([
        "qemu-storage-daemon", "--blockdev", "file,node-name=file,filename=\(image)", "--blockdev",
        "\(test.driver),node-name=disk,file=file", "--export",
        "fuse,id=export,node-name=disk,mountpoint=\(whole),writable=on,growable=off",
      ])
      try waitUntil("qemu-storage-daemon shows the disk: \(daemon.error)") {
        try FileManager.default.attributesOfItem(atPath: whole)[.size] as? Int == byteCount
      }
      try body(whole)
      daemon.send(SIGTERM)
      let result = try daemon.wait(timeLimit: 20)
      #expect(result.code == 0, "\(result.error)")
    }

    /// The same sectors into each of the files, some of them zeros.
    private func writeRandomly(
      _ paths: [String], _ byteCount: Int, count: Int, _ noise: Data, _ generator: inout Generator
    ) throws {
      let files = try paths.map { try FileHandle(forUpdating: URL(filePath: $0)) }
      for _ in 0..<count {
        let longest = [1, 16, 200, 1000][generator.below(4)] * 512
        let length = min(longest, (1 + generator.below(longest / 512)) * 512)
        let start = generator.below((byteCount - length) / 512) * 512
        let from = generator.below(noise.count - length)
        let bytes = generator.below(6) == 0 ? Data(count: length) : noise.subdata(in: from..<from + length)
        for file in files {
          try file.seek(toOffset: UInt64(start))
          try file.write(contentsOf: bytes)
        }
      }
      for file in files {
        try file.synchronize()
        try file.close()
      }
    }
  }
}
