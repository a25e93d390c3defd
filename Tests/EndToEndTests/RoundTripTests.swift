import Foundation
import Testing

extension EndToEnd {
  /// Thousands of real files, both directions, per filesystem: filled through Synthgate and read by the system's own
  /// driver from the raw image, and the reverse.
  @Suite(.serialized) struct RoundTrip {
    struct Case: CustomTestStringConvertible, Sendable {
      var type: String
      var isPartitioned: Bool
      var mebibytes: Int
      var detail: Tree.Detail
      var options: [String] = []
      var testDescription: String {
        "\(type)\(isPartitioned ? " in a GPT" : "") \(options.joined(separator: " "))"
      }
    }

    static let cases = [
      Case(type: "ext4", isPartitioned: true, mebibytes: 700, detail: .everything),
      Case(type: "ext4", isPartitioned: false, mebibytes: 700, detail: .everything, options: ["--cache", "direct"]),
      Case(type: "xfs", isPartitioned: false, mebibytes: 900, detail: .everything),
      Case(type: "ntfs", isPartitioned: false, mebibytes: 700, detail: .contents),
    ]

    private func make(_ test: Case, _ scratch: Scratch) throws -> Extent {
      let image = scratch.file("disk.img")
      if test.isPartitioned { return try Image.partitioned(image, [(test.type, test.mebibytes)])[0] }
      return try Image.plain(image, type: test.type, mebibytes: test.mebibytes)
    }

    @Test(arguments: cases) func filledThroughSynthgateReadByTheSystem(_ test: Case) throws {
      try Scratch.with { scratch in
        let extent = try make(test, scratch)
        let tree = try scratch.directory("tree")
        try Tree.makeFull(at: tree)
        try #expect(Tree.fileCount(tree) > 2000)
        let before = try Tree.digest(tree, test.detail)
        try scratch.mounted(extent.image, options: test.options) {
          try shell(#"cp -a "$1/." "$2"; sync -f "$2""#, tree, scratch.mountPoint, timeLimit: 300)
          try #expect(Tree.digest(scratch.mountPoint, test.detail) == before)
        }
        try Image.check(extent, type: test.type)
        try Image.withNativeMount(extent, type: test.type, at: scratch.nativePoint, readOnly: true) {
          try #expect(Tree.digest(scratch.nativePoint, test.detail) == before)
        }
      }
    }

    @Test(arguments: cases) func filledByTheSystemReadThroughSynthgate(_ test: Case) throws {
      try Scratch.with { scratch in
        let extent = try make(test, scratch)
        let tree = try scratch.directory("tree")
        try Tree.makeFull(at: tree)
        let before = try Tree.digest(tree, test.detail)
        try Image.withNativeMount(extent, type: test.type, at: scratch.nativePoint) {
          try shell(#"cp -a "$1/." "$2""#, tree, scratch.nativePoint, timeLimit: 300)
        }
        try scratch.mounted(extent.image, options: test.options + ["-o", "ro"]) {
          try #expect(Tree.digest(scratch.mountPoint, test.detail) == before)
        }
        // Removing half of it and moving the rest around leaves a sound filesystem too.
        try scratch.mounted(extent.image, options: test.options) {
          try shell(#"rm -rf "$1/usr"; mv "$1/generated" "$1/moved"; mkdir "$1/new""#, scratch.mountPoint)
        }
        try Image.check(extent, type: test.type)
        try Image.withNativeMount(extent, type: test.type, at: scratch.nativePoint, readOnly: true) {
          let expected = try Tree.digest(tree + "/generated", test.detail)
          try #expect(Tree.digest(scratch.nativePoint + "/moved", test.detail) == expected)
        }
      }
    }

    /// The kernel may lack FAT: mtools fill and read the raw files, and the mount is the kernel's or fusefat's.
    @Test func fat() throws {
      try Scratch.with { scratch in
        let extent = try Image.partitioned(scratch.file("disk.img"), [("vfat", 400)])[0]
        let tree = try scratch.directory("tree")
        try Tree.makePlain(at: tree, seed: 7, count: 1000)
        let before = try Tree.digest(tree, .caselessContents)
        try scratch.mounted(extent.image, options: ["--filesystem", "none"]) {
          try shell(#"mcopy -s -i "$2/p1" "$1"/* ::/"#, tree, scratch.mountPoint, timeLimit: 300)
        }
        try Image.check(extent, type: "vfat")
        let copy = try scratch.directory("copy")
        let place = "\(extent.image)@@\(extent.offset)"
        try shell(#"mcopy -s -n -i "$1" '::/*' "$2""#, place, copy, timeLimit: 300)
        try #expect(Tree.digest(copy, .caselessContents) == before)
        try scratch.mounted(extent.image, options: ["-o", "ro"]) {
          try #expect(Tree.digest(scratch.mountPoint, .caselessContents) == before)
        }
      }
    }

    @Test func ext4WithoutTheKernelsDriver() throws {
      try Scratch.with { scratch in
        let extent = try Image.plain(scratch.file("disk.img"), type: "ext4", mebibytes: 300)
        let tree = try scratch.directory("tree")
        try Tree.makePlain(at: tree, seed: 3, count: 1000)
        try scratch.mounted(extent.image, options: ["--driver", "userspace"]) {
          try #expect(must("findmnt", "-no", "FSTYPE", scratch.mountPoint).hasPrefix("fuse"))
          try shell(#"cp -r "$1/." "$2""#, tree, scratch.mountPoint)
        }
        try Image.check(extent, type: "ext4")
        try Image.withNativeMount(extent, type: "ext4", at: scratch.nativePoint, readOnly: true) {
          try #expect(Tree.digest(scratch.nativePoint, .contents) == Tree.digest(tree, .contents))
        }
      }
    }

    @Test func twoFilesystemsOnOneDisk() throws {
      try Scratch.with { scratch in
        let extents = try Image.partitioned(scratch.file("disk.img"), [("ext4", 200), ("xfs", 400)])
        for (index, type) in ["ext4", "xfs"].enumerated() {
          let tree = try scratch.directory("tree\(index)")
          try Tree.makePlain(at: tree, seed: UInt64(index), count: 1200)
          try scratch.mounted(extents[0].image, options: ["--partition", "\(index + 1)"]) {
            try #expect(must("findmnt", "-no", "FSTYPE", scratch.mountPoint) == "\(type)\n")
            try shell(#"cp -r "$1/." "$2""#, tree, scratch.mountPoint)
          }
        }
        for (index, type) in ["ext4", "xfs"].enumerated() {
          try Image.check(extents[index], type: type)
          try Image.withNativeMount(extents[index], type: type, at: scratch.nativePoint, readOnly: true) {
            let expected = try Tree.digest(scratch.file("tree\(index)"), .contents)
            try #expect(Tree.digest(scratch.nativePoint, .contents) == expected)
          }
        }
      }
    }

    @Test(arguments: [[], ["--cache", "direct"]]) func rawViewIsTheImage(options: [String]) throws {
      try Scratch.with { scratch in
        let extents = try Image.partitioned(scratch.file("disk.img"), [("ext4", 100), ("", 37)])
        try shell(#"dd if=/dev/urandom of="$1" bs=1M seek=101 count=37 conv=notrunc status=none"#, extents[0].image)
        try must("cp", "--sparse=always", extents[0].image, scratch.file("copy.img"))
        try scratch.mounted(extents[0].image, options: ["--filesystem", "none"] + options) {
          try must("cmp", scratch.file("copy.img"), scratch.mountPoint + "/whole")
          for (index, extent) in extents.enumerated() {
            let part = "\(scratch.mountPoint)/p\(index + 1)"
            try #expect(must("stat", "-c", "%s", part) == "\(extent.size)\n")
            try must(
              "cmp", "--ignore-initial=\(extent.offset):0", "--bytes=\(extent.size)", scratch.file("copy.img"), part)
          }
          // And in the other direction, at places that no sector boundary helps.
          try shell(
            #"""
            dd if=/dev/urandom of="$1/bytes" bs=77777 count=91 status=none
            for target in "$1/copy.img" "$2/whole"; do
              dd if="$1/bytes" of="$target" bs=77777 seek=16 conv=notrunc,fsync status=none
            done
            """#, scratch.path, scratch.mountPoint)
        }
        try must("cmp", scratch.file("copy.img"), extents[0].image)
      }
    }
  }
}
