import Foundation
import Testing

/// One fio run with verification: mixed sizes, four jobs side by side in files or ranges of their own.
struct VerifyingLoad {
  /// `--filename=...` (ranges of one file) or `--directory=...`.
  var target: String
  var isDirect: Bool
  /// Sizes and offsets that are multiples of 1000 bytes, or of 512.
  var isAligned: Bool
  var mebibytesPerJob = 40
  var rateMebibytes: Int?
  /// Writes and verifies again and again for so long.
  var seconds: Int?

  var arguments: [String] {
    var list = [
      "fio", "--name=verify", target, "--size=\(mebibytesPerJob)M", "--numjobs=4", "--rw=randwrite",
      "--group_reporting",
      "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--verify_dump=0", "--verify_state_save=0",
      "--end_fsync=1", "--randseed=42", "--thread", "--fallocate=none", "--direct=\(isDirect ? 1 : 0)",
    ]
    list += isDirect ? ["--ioengine=libaio", "--iodepth=16"] : ["--ioengine=psync"]
    list += isAligned ? ["--bsrange=512-256k", "--blockalign=512"] : ["--bsrange=1000-60000", "--bs_unaligned=1"]
    if target.hasPrefix("--filename") { list.append("--offset_increment=\(mebibytesPerJob + 1)M") }
    if let rateMebibytes { list.append("--rate=\(rateMebibytes)M") }
    if let seconds { list += ["--loops=1000000", "--runtime=\(seconds)"] }
    return list
  }

  /// Runs it to its end: any error, also one of verification, fails.
  func run() throws {
    let result = try EndToEndTests.run(arguments, timeLimit: 1200)
    guard result.code == 0 else {
      throw CommandFailure(description: "fio ended with \(result.code)\n\(result.output)\(result.error)")
    }
  }
}

extension EndToEnd {
  /// fio with verification of every block.
  @Suite(.serialized) struct Load {
    @Test(arguments: [
      (DiskFormat.raw, true, true), (.raw, true, false), (.raw, false, true), (.raw, false, false),
      (.vhdx, true, true), (.vhdx, false, false),
    ])
    func wholeDisk(format: DiskFormat, isDirect: Bool, isAligned: Bool) throws {
      try Scratch.with { scratch in
        let disk = try scratch.emptyDisk(format, mebibytes: 256)
        try scratch.mounted(disk, options: ["--filesystem", "none"]) {
          try VerifyingLoad(
            target: "--filename=\(scratch.mountPoint)/whole", isDirect: isDirect, isAligned: isAligned
          ).run()
        }
      }
    }

    @Test(arguments: [
      (DiskFormat.raw, "auto", true), (.raw, "auto", false), (.raw, "direct", true), (.raw, "direct", false),
      (.vhdx, "auto", true),
    ])
    func ext4(format: DiskFormat, cache: String, isDirect: Bool) throws {
      try Scratch.with { scratch in
        let disk = try scratch.disk(format, type: "ext4", mebibytes: 400)
        try scratch.mounted(disk, options: ["--cache", cache]) {
          try VerifyingLoad(
            target: "--directory=\(scratch.mountPoint)", isDirect: isDirect, isAligned: isDirect
          ).run()
        }
        try scratch.check(disk, type: "ext4")
      }
    }

    @Test func memoryStaysFlat() throws {
      try Scratch.with { scratch in
        try Image.sparse(scratch.file("disk.img"), mebibytes: 256)
        try scratch.mounted(scratch.file("disk.img"), options: ["--filesystem", "none"]) {
          let id = try scratch.gatewayProcess()
          let seconds = Program.isLong ? 240 : 16
          let load = try Command(
            VerifyingLoad(
              target: "--filename=\(scratch.mountPoint)/whole", isDirect: true, isAligned: true, mebibytesPerJob: 20,
              seconds: seconds
            ).arguments)
          var samples: [Int] = []
          for _ in 0..<(seconds - 2) {
            sleep(1)
            samples.append(try ownKibibytes(id))
          }
          let result = try load.wait(timeLimit: 120)
          #expect(result.code == 0, "\(result.output)\(result.error)")
          let early = samples[samples.count / 3]
          let late = try #require(samples.last)
          print("memory of the gateway without its pool: \(early) KiB after a third of the load, \(late) at its end")
          #expect(late - early < 1024, "\(samples)")
        }
      }
    }

    @Test func idleCostsNothing() throws {
      try Scratch.with { scratch in
        try Image.sparse(scratch.file("disk.img"), mebibytes: 64)
        try scratch.mounted(scratch.file("disk.img"), options: ["--filesystem", "none"]) {
          let id = try scratch.gatewayProcess()
          sleep(1)
          let before = try processorTicks(id)
          sleep(4)
          try #expect(processorTicks(id) - before <= 1)
        }
      }
    }

    /// Resident memory besides the pool of buffers, which is shared memory: a slot's buffer takes memory when it is used
    /// for the first time, however late that is, and the pool has an end.
    private func ownKibibytes(_ id: Int32) throws -> Int {
      let text = try String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)
      let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
      return try #require(Int(line.split(separator: " ")[1]))
    }

    /// User and system time in clock ticks.
    private func processorTicks(_ id: Int32) throws -> Int {
      let text = try String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)
      let fields = try #require(text.split(separator: ")").last).split(separator: " ")
      return try #require(Int(fields[11])) + #require(Int(fields[12]))
    }
  }
}
