import LinuxIO
import SharedMemory
import VMBusChannel
import WireBytes

/// A bzImage, and how it is put into memory by the 64-bit boot protocol.
///
/// Source: Linux Documentation/arch/x86/boot.rst and zero-page.rst.
struct LinuxKernel {
  /// Where the processor starts.
  let entry: UInt64
  private let path: String
  private let header: [UInt8]
  private let payloadOffset: UInt64
  private let payloadByteCount: Int
  private let loadAddress: UInt64
  private let runByteCount: UInt64
  private let file: BootFile

  private static let headerOffset = 0x1F1

  /// Looks at a kernel image.
  ///
  /// - Throws: `.image` with what is wrong with it.
  init(path: String) throws(MachineError) {
    self.path = path
    file = try BootFile(path)
    let byteCount = file.byteCount
    let start = try file.bytes(count: 1024)
    let bytes = start.rawSpan
    guard start.count == 1024, bytes.le32(at: 0x202) == 0x5372_6448 else {
      throw .image(path, "it is no Linux kernel image (bzImage)")
    }
    guard bytes.le16(at: 0x206) >= 0x20C, bytes.le16(at: 0x236) & 1 != 0 else {
      throw .image(path, "it is no 64-bit kernel of Linux 3.8 or newer")
    }
    let setupSectors = bytes.byte(at: 0x1F1) == 0 ? 4 : Int(bytes.byte(at: 0x1F1))
    let payload = (setupSectors + 1) * 512
    guard payload < byteCount else { throw .image(path, "it is cut off after \(byteCount) bytes") }
    let headerEnd = 0x202 + Int(bytes.byte(at: 0x201))
    guard headerEnd <= 0x290, headerEnd > 0x264 else { throw .image(path, "its setup header is damaged") }
    header = bytes.array(from: Self.headerOffset, count: headerEnd - Self.headerOffset)
    payloadOffset = UInt64(payload)
    payloadByteCount = byteCount - payload
    loadAddress = bytes.le64(at: 0x258)
    runByteCount = UInt64(bytes.le32(at: 0x260))
    guard loadAddress >= MachineLayout.highMemory, loadAddress < 1 << 32 else {
      throw .image(path, "it wants to be loaded at 0x\(String(loadAddress, radix: 16))")
    }
    entry = loadAddress + 0x200
  }

  /// Puts the kernel, an initial RAM disk, the command line and the boot parameters into the guest's memory.
  ///
  /// - Throws: `.image` when something does not fit or can't be read.
  func load(into memory: MemorySlice, initrd: String?, commandLine: String) throws(MachineError) {
    let top = UInt64(memory.byteCount)
    let needed = loadAddress + max(runByteCount, UInt64(payloadByteCount))
    guard needed < top else {
      throw .image(path, "it needs \((needed >> 20) + 1) MiB of memory, the machine has \(top >> 20) MiB")
    }
    try file.read(into: memory.slice(at: Int(loadAddress), count: payloadByteCount), at: payloadOffset)
    var disk: (address: UInt64, byteCount: Int) = (0, 0)
    if let initrd { disk = try loadDisk(initrd, into: memory, above: needed) }
    let text = Array(commandLine.utf8)
    let limit = Int(header.rawSpan.le32(at: 0x238 - Self.headerOffset))
    guard text.count <= limit, !text.contains(0) else {
      throw .configuration("the command line of the kernel has \(text.count) bytes, \(limit) are allowed")
    }
    memory.copyIn((text + [0]).rawSpan, at: Int(MachineLayout.commandLine))
    memory.copyIn(bootParameters(memoryTop: top, disk: disk).rawSpan, at: Int(MachineLayout.bootParameters))
    storeTables(into: memory)
  }

  private func loadDisk(
    _ path: String, into memory: MemorySlice, above floor: UInt64
  ) throws(MachineError) -> (address: UInt64, byteCount: Int) {
    let file = try BootFile(path)
    let byteCount = file.byteCount
    let limit = UInt64(header.rawSpan.le32(at: 0x22C - Self.headerOffset)) + 1
    let top = min(UInt64(memory.byteCount), limit)
    guard byteCount > 0 else { throw .image(path, "it is empty") }
    guard UInt64(byteCount) < top, (top - UInt64(byteCount)) & ~0xFFF >= floor else {
      throw .image(
        path, "its \(byteCount >> 20) MiB and the kernel need more than the machine's \(memory.byteCount >> 20) MiB")
    }
    let address = (top - UInt64(byteCount)) & ~0xFFF
    try file.read(into: memory.slice(at: Int(address), count: byteCount), at: 0)
    return (address, byteCount)
  }

  private func bootParameters(memoryTop: UInt64, disk: (address: UInt64, byteCount: Int)) -> [UInt8] {
    [UInt8](zeroed: 4096) { page in
      page.store(header.rawSpan, at: Self.headerOffset)
      page.storeLE(MachineLayout.acpiRoot, at: 0x70)
      page.storeLE(UInt16(0xFFFF), at: 0x1FA)
      page.storeLE(UInt8(0xFF), at: 0x210)
      // Loaded high.
      page.storeLE(header[0x211 - Self.headerOffset] | 1, at: 0x211)
      page.storeLE(UInt32(truncatingIfNeeded: disk.address), at: 0x218)
      page.storeLE(UInt32(truncatingIfNeeded: disk.byteCount), at: 0x21C)
      page.storeLE(UInt32(MachineLayout.commandLine), at: 0x228)
      // The memory map: 1 is usable, 2 is reserved.
      let map: [(UInt64, UInt64, UInt32)] = [
        (0, MachineLayout.firmware, 1),
        (MachineLayout.firmware, MachineLayout.highMemory - MachineLayout.firmware, 2),
        (MachineLayout.highMemory, memoryTop - MachineLayout.highMemory, 1),
      ]
      page.storeLE(UInt8(map.count), at: 0x1E8)
      for (index, entry) in map.enumerated() {
        page.storeLE(entry.0, at: 0x2D0 + index * 20)
        page.storeLE(entry.1, at: 0x2D8 + index * 20)
        page.storeLE(entry.2, at: 0x2E0 + index * 20)
      }
    }
  }

  /// The selectors of `storeTables`.
  static let selectors: (code: UInt16, data: UInt16) = (0x10, 0x18)
  /// Length of the descriptor table, less one.
  static let descriptorTableLimit: UInt16 = 31

  /// The descriptor table, and page tables that map 4 GiB to themselves in pieces of 2 MiB.
  private func storeTables(into memory: MemorySlice) {
    let table = Int(MachineLayout.descriptorTable)
    memory.storeLE64(0, at: table)
    memory.storeLE64(0, at: table + 8)
    memory.storeLE64(0x00AF_9B00_0000_FFFF, at: table + 16)
    memory.storeLE64(0x00CF_9300_0000_FFFF, at: table + 24)
    let top = MachineLayout.pageTables
    memory.storeLE64((top + 0x1000) | 3, at: Int(top))
    for gibibyte in 0..<UInt64(4) {
      let directory = top + 0x2000 + gibibyte * 0x1000
      memory.storeLE64(directory | 3, at: Int(top + 0x1000 + gibibyte * 8))
      for piece in 0..<UInt64(512) {
        memory.storeLE64((gibibyte << 30 | piece << 21) | 0x83, at: Int(directory + piece * 8))
      }
    }
  }
}
