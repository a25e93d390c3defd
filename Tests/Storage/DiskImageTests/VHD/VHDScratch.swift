import Block
import CLinux
@testable import DiskImage
import ImageFormats
import LinuxIO
import SharedMemory
import Testing

extension Scratch {
  /// A new image made by this program.
  func vhd(
    _ name: String = "disk.vhd", byteCount: UInt64, _ change: (inout VHDCreation) -> Void = { _ in }
  ) throws -> String {
    var creation = VHDCreation(diskByteCount: byteCount)
    change(&creation)
    let path = "\(directory)/\(name)"
    try creation.write(to: path)
    return path
  }

  /// A new child of the image at `parent`.
  func vhdChild(
    _ name: String = "child.vhd", of parent: String, byteCount: UInt64,
    _ change: (inout VHDCreation) -> Void = { _ in }
  ) throws -> String {
    let file = ImageFile(path: parent, file: try OwnedDescriptor.open(parent, flags: 0))
    let footer = try VHDStructure.read(file).footer
    return try vhd(name, byteCount: byteCount) {
      let relative = ParentPath.relativeWindowsPath(from: directory, to: parent)
      $0.parent = .init(identity: footer.uniqueID, modified: 1_700_000_000, relativePath: relative)
      change(&$0)
    }
  }

  /// A raw file with these bytes.
  func raw(_ name: String, _ bytes: [UInt8]) throws -> String {
    let path = try file(name, byteCount: UInt64(bytes.count))
    try patch(path, at: 0, bytes)
    return path
  }

  func qemu(_ arguments: String...) throws {
    _ = try runAll(["/usr/bin/qemu-img"] + arguments)
  }
}

/// Runs a program, see `run`.
@discardableResult
func runAll(_ arguments: [String]) throws -> String {
  let pipe = try LinePipe()
  let process = try ProcessHandle.start(arguments, output: pipe.writer.number, error: pipe.writer.number)
  var output: [UInt8] = []
  while true {
    let ready = waitForInput([pipe.reader.number, process.descriptor], milliseconds: 60_000)
    guard ready & 1 != 0 else { break }
    output += try readAvailable(pipe.reader.number)
  }
  let text = String(decoding: output, as: UTF8.self)
  guard process.exitCode() == 0 else { throw ProgramFailure(arguments: arguments, output: text) }
  return text
}

/// Big-endian bytes of a number.
func be32(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) } }

/// Random requests against an image and a piece of memory, which must agree at all times. Bytes are compared and moved by
/// the C library, which a debug build does not slow down.
struct ModelRun {
  private(set) var memory: MemoryRegion
  private(set) var byteCount: Int
  var random: Generator
  var sectorByteCount = 512
  /// No byte of it is zero.
  static let noise = makeNoise(byteCount: 3 << 20 + 1024)
  /// Whole blocks are discarded sometimes.
  var blockByteCount = 2 << 20

  init(byteCount: Int, seed: UInt64) throws {
    self.byteCount = byteCount
    memory = try MemoryRegion(anonymous: byteCount)
    random = Generator(state: seed)
  }

  /// The bytes that the disk must have.
  var bytes: [UInt8] { memory.slice.slice(at: 0, count: byteCount).bytes() }

  /// The disk is longer from now on.
  mutating func grow(to newByteCount: Int) throws {
    let longer = try MemoryRegion(anonymous: newByteCount)
    longer.slice.copyIn(memory.slice.slice(at: 0, count: byteCount))
    (memory, byteCount) = (longer, newByteCount)
  }

  private func isEqual(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
    memcmp(bytes, memory.slice.slice(at: range.lowerBound, count: range.count).pointer, range.count) == 0
  }

  mutating func agree(
    _ path: String, steps: Int = 150, usesRing: Bool = true, options: DiskImage.Options = DiskImage.Options()
  ) throws {
    let image = try DiskImage.open(path, options: options)
    try #require(image.info.byteCount == UInt64(byteCount) && image.info.sectorByteCount == sectorByteCount)
    do {
      let queues = [try TestQueue(image, usesRing: usesRing), try TestQueue(image)]
      for step in 0..<steps { try self.step(queues[Int.random(in: 0..<2, using: &random)], step) }
      try compare(queues[0])
      for queue in queues { queue.queue.close() }
    }
    try image.close()
  }

  /// Reads the whole disk.
  func compare(_ queue: TestQueue) throws {
    for start in stride(from: 0, to: byteCount, by: 1 << 20) {
      let end = min(byteCount, start + 1 << 20)
      let (bytes, error) = queue.read(UInt64(start), end - start)
      try #require(error == nil && isEqual(bytes, start..<end), "from byte \(start)")
    }
  }

  mutating func range() -> Range<Int> {
    let sectors = byteCount / sectorByteCount
    let first = Int.random(in: 0..<sectors, using: &random)
    let longest = min(sectors - first, [1, 8, 300, 3 << 20 / sectorByteCount][Int.random(in: 0..<4, using: &random)])
    return first * sectorByteCount..<(first + Int.random(in: 1...longest, using: &random)) * sectorByteCount
  }

  mutating func step(_ queue: TestQueue, _ step: Int) throws {
    var range = range()
    let start = [0, 512, 7][Int.random(in: 0..<3, using: &random)]
    switch Int.random(in: 0..<12, using: &random) {
    case 0..<4:
      let (bytes, error) = queue.read(UInt64(range.lowerBound), range.count, at: start)
      try #require(error == nil && isEqual(bytes, range), "step \(step): \(range)")
    case 4..<8:
      let first = Int.random(in: 0..<1024, using: &random)
      let bytes = Array(Self.noise[first..<(first + range.count)])
      let flags: BlockRequest.Flags = Int.random(in: 0..<8, using: &random) == 0 ? [.forceUnitAccess] : []
      try #require(queue.write(bytes, UInt64(range.lowerBound), at: start, flags: flags) == nil, "step \(step)")
      memory.slice.slice(at: range.lowerBound, count: range.count).copyIn(bytes.span.bytes)
    case 8, 9:
      if Bool.random(using: &random) {
        let block = range.lowerBound / blockByteCount * blockByteCount
        range = block..<min(byteCount, block + 2 * blockByteCount)
      }
      let operation = Bool.random(using: &random) ? BlockOperation.discard : .writeZeroes
      let flags: BlockRequest.Flags = Bool.random(using: &random) ? [.mayUnmap] : []
      let end = queue.range(operation, UInt64(range.lowerBound), UInt64(range.count), flags: flags)
      try #require(end.error == nil, "step \(step)")
      memory.slice.slice(at: range.lowerBound, count: range.count).fill(0)
    case 10:
      let extent = try #require(queue.range(.extent, UInt64(range.lowerBound), UInt64(range.count)).extent)
      #expect(extent.byteCount > 0 && extent.byteCount <= UInt64(range.count))
    default: #expect(queue.range(.flush).error == nil)
    }
  }
}

/// Bytes that repeat only after 4 KiB and a bit; built by copies, which are fast in a debug build.
func makeNoise(byteCount: Int) -> [UInt8] {
  var random = Generator(state: 99)
  let part = (0..<4099).map { _ in UInt8.random(in: 1...255, using: &random) }
  var bytes: [UInt8] = []
  while bytes.count < byteCount { bytes += part }
  return Array(bytes.prefix(byteCount))
}
