import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing

/// How parents are found: by paths out of files that nobody vouches for.
@Suite(.serialized) struct ChainTests {
  private static let formats = [DiskImage.Format.vhd, .vhdx]

  private func base(_ scratch: Scratch, _ format: DiskImage.Format, _ name: String) throws -> String {
    let path = try format == .vhd ? scratch.vhd(name, byteCount: 4 << 20) : scratch.vhdx(name, byteCount: 4 << 20)
    try write(path, 1)
    return path
  }

  private func write(_ path: String, _ value: UInt8, at offset: UInt64 = 0) throws {
    let image = try DiskImage.open(path)
    let queue = try TestQueue(image)
    #expect(queue.write([UInt8](repeating: value, count: 512), offset) == nil)
    queue.queue.close()
    try image.close()
  }

  /// A child that names its parent by any text.
  private func child(
    _ scratch: Scratch, _ format: DiskImage.Format, _ name: String, of parent: String, path text: String
  ) throws -> String {
    if format == .vhd {
      return try scratch.vhdChild(name, of: parent, byteCount: 4 << 20) { $0.parent?.relativePath = text }
    }
    return try scratch.child(name, of: parent, byteCount: 4 << 20) {
      $0.parent = .init(identity: $0.parent!.identity, relativePath: text)
    }
  }

  private func firstByte(_ path: String, _ options: DiskImage.Options = .init()) throws -> UInt8 {
    let image = try DiskImage.open(path, options: options)
    let (bytes, error) = try TestQueue(image).read(0, 512)
    #expect(error == nil)
    return bytes[0]
  }

  private func fault(_ path: String, _ options: DiskImage.Options = .init()) -> ImageFault? {
    if case .fault(let fault)? = openError(path, options) { return fault }
    return nil
  }

  @Test(arguments: formats) func otherDirectories(format: DiskImage.Format) throws {
    let scratch = try Scratch()
    try run("/bin/mkdir", "-p", scratch.directory + "/base", scratch.directory + "/vm/deep")
    let base = try base(scratch, format, "base/base.img")
    let leaf = try child(scratch, format, "vm/deep/leaf.img", of: base, path: "..\\..\\base\\base.img")
    let denied = try #require(fault(leaf))
    #expect(denied.code == "chain.denied" && denied.text.contains(scratch.directory + "/vm/deep"))
    var options = DiskImage.Options()
    options.parentDirectories = [scratch.directory]
    #expect(try firstByte(leaf, options) == 1)
    options.parentDirectories = [scratch.directory + "/base"]
    #expect(try firstByte(leaf, options) == 1)
    options.parentDirectories = [scratch.directory + "/bas"]
    #expect(fault(leaf, options)?.code == "chain.denied")
    options.parentDirectories = []
    options.parentPaths = [base]
    #expect(try firstByte(leaf, options) == 1)
    options.parentPaths = [base, base]
    #expect(fault(leaf, options)?.code == "chain.linkage")
    // A link out of the allowed directory is not followed, nor is one inside it.
    try run("/bin/ln", "-s", scratch.directory + "/base", scratch.directory + "/vm/deep/link")
    let linked = try child(scratch, format, "vm/deep/linked.img", of: base, path: ".\\link\\base.img")
    #expect(fault(linked)?.code == "chain.denied")
    // The path of the leaf itself may be a link.
    try run("/bin/cp", base, scratch.directory + "/vm/deep/near.img")
    let near = try child(scratch, format, "vm/deep/nearby.img", of: base, path: ".\\near.img")
    try run("/bin/ln", "-s", near, scratch.directory + "/nearby")
    #expect(try firstByte(scratch.directory + "/nearby") == 1)
  }

  @Test(arguments: formats) func hostilePaths(format: DiskImage.Format) throws {
    let scratch = try Scratch()
    let base = try base(scratch, format, "base.img")
    try run("/bin/mkdir", "-p", scratch.directory + "/sub/sub")
    try run("/usr/bin/mkfifo", scratch.directory + "/sub/sub/pipe")
    for (index, text) in [
      "..\\..\\..\\..\\etc\\passwd", "C:\\base.img", "C:base.img", "\\etc\\passwd", "/etc/passwd",
      "\\\\server\\share\\base.img", "\\\\?\\C:\\base.img", ".\\\\base.img", ".\\sub\\pipe", ".\\sub", ".\\..\\x\\base",
      String(repeating: ".\\", count: 3000) + "base.img",
    ].enumerated() {
      // For a VHD the name of the parent in the child's directory is tried, too; here it is not there.
      let leaf = try child(scratch, format, "sub/leaf\(index).img", of: base, path: text)
      let code = fault(leaf)?.code
      #expect(
        code == "chain.denied" || (code == "chain.missing" && text.utf8.count > 4096), "\(text): \(code ?? "opens")")
    }
    let missing = try child(scratch, format, "leaf.img", of: base, path: ".\\not here.img")
    let fault = try #require(self.fault(missing))
    #expect(fault.code == "chain.missing" && fault.text.contains(scratch.directory + "/not here.img"))
  }

  /// What stands in an image reaches no terminal as it is.
  @Test(arguments: formats) func controlCharactersAreNotTold(format: DiskImage.Format) throws {
    let scratch = try Scratch()
    let base = try base(scratch, format, "base.img")
    for text in [".\\no\u{1b}[2J\u{9b}2Jne.img", "..\\..\\x\u{1b}[2J\u{9b}2J"] {
      let fault = try #require(fault(try child(scratch, format, "leaf.img", of: base, path: text)))
      #expect(!fault.text.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(fault.code)")
      try run("/bin/rm", scratch.directory + "/leaf.img")
    }
  }

  @Test(arguments: formats) func identityIsChecked(format: DiskImage.Format) throws {
    let scratch = try Scratch()
    let base = try base(scratch, format, "base.img")
    let leaf = try child(scratch, format, "leaf.img", of: base, path: ".\\base.img")
    #expect(try firstByte(leaf) == 1)
    let other = try self.base(scratch, format, "other.img")
    try run("/bin/mv", other, base)
    let changed = try #require(fault(leaf))
    #expect(changed.code == "chain.linkage" && changed.text.contains(base) && changed.text.contains(leaf))
    // Another format, or none.
    let raw = try scratch.raw("raw.img", [UInt8](repeating: 5, count: 4096))
    try run("/bin/mv", raw, base)
    #expect(fault(leaf)?.code == "chain.linkage")
    try patch(base, at: 0, Array("vhdxfile".utf8))
    #expect(["chain.linkage", "vhdx.small"].contains(fault(leaf)?.code))
    #expect(fault(leaf)?.text.contains(base) == true)
  }

  @Test func writtenParentOfVHDXIsRefused() throws {
    let scratch = try Scratch()
    let base = try base(scratch, .vhdx, "base.img")
    let leaf = try child(scratch, .vhdx, "leaf.img", of: base, path: ".\\base.img")
    try write(base, 2)
    #expect(fault(leaf)?.code == "chain.linkage")
  }

  @Test(arguments: formats) func chainsEnd(format: DiskImage.Format) throws {
    let scratch = try Scratch()
    var path = try base(scratch, format, "image0")
    for index in 1...65 {
      path = try child(scratch, format, "image\(index)", of: path, path: ".\\image\(index - 1)")
      if index == 63 { #expect(try firstByte(path) == 1, "64 images") }
      if index == 64 { #expect(fault(path)?.code == "chain.depth", "65 images") }
    }
    #expect(fault(path)?.code == "chain.depth")
    // Two names of one file.
    let leaf = try child(scratch, format, "leaf", of: scratch.directory + "/image0", path: ".\\self")
    try run("/bin/ln", leaf, scratch.directory + "/self")
    #expect(fault(leaf)?.code == "chain.loop")
  }

  @Test(arguments: formats) func parentsAreLocked(format: DiskImage.Format) throws {
    let scratch = try Scratch()
    let base = try base(scratch, format, "base.img")
    let leaves = try (0..<2).map { try child(scratch, format, "leaf\($0)", of: base, path: ".\\base.img") }
    let images = try leaves.map { try DiskImage.open($0) }
    guard case .inUse? = openError(base) else { return #expect(Bool(false), "a parent can be written") }
    for image in images { try image.close() }
    let writer = try DiskImage.open(base)
    guard case .inUse(let holder)? = openError(leaves[0], .init()) else {
      return #expect(Bool(false), "the base is written")
    }
    #expect(holder?.contains(base) == true, "\(holder ?? "nobody")")
    try writer.close()
  }

  @Test func relativePaths() {
    #expect(ParentPath.relativeWindowsPath(from: "/a/b", to: "/a/b/c.vhd") == ".\\c.vhd")
    #expect(ParentPath.relativeWindowsPath(from: "/a/b", to: "/a/x/c.vhd") == "..\\x\\c.vhd")
    #expect(ParentPath.relativeWindowsPath(from: "/", to: "/c.vhd") == ".\\c.vhd")
    #expect(ParentPath.join("/a/b", "..\\x\\c.vhd") == "/a/x/c.vhd")
    #expect(ParentPath.join("/a", "..\\..\\c.vhd") == nil && ParentPath.join("/a", "x\0y") == nil)
    #expect(ParentPath.relative("/a/b/c", to: "/a/b") == "c" && ParentPath.relative("/a/bc", to: "/a/b") == nil)
  }
}
