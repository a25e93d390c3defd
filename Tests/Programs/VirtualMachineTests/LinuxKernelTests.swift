import LinuxIO
import SharedMemory
import Testing
import VMBusChannel
import WireBytes

@testable import VirtualMachine

/// A file that is removed with this object.
private final class Scratch {
  let path: String

  init(_ bytes: [UInt8]) throws {
    path = "/tmp/synthgate-kernel-\(ownProcess())-\(monotonicNanoseconds())"
    let file = try OwnedDescriptor.open(path, flags: 0o102)
    try writeAll(bytes, to: file.number)
  }

  deinit { try? removeFile(path) }
}

/// A kernel image that has a setup header and nothing that runs.
private func image(payload: [UInt8], change: (inout MutableRawSpan) -> Void = { _ in }) -> [UInt8] {
  [UInt8](zeroed: 3 * 512) { bytes in
    bytes.storeLE(UInt8(2), at: 0x1F1)
    bytes.storeLE(UInt8(0x66), at: 0x201)
    bytes.storeLE(UInt32(0x5372_6448), at: 0x202)
    bytes.storeLE(UInt16(0x20F), at: 0x206)
    bytes.storeLE(UInt32(0x7FFF_FFFF), at: 0x22C)
    bytes.storeLE(UInt16(0x7F), at: 0x236)
    bytes.storeLE(UInt32(2047), at: 0x238)
    bytes.storeLE(UInt64(16 << 20), at: 0x258)
    bytes.storeLE(UInt32(8 << 20), at: 0x260)
    change(&bytes)
  } + payload
}

@Suite struct LinuxKernelTests {
  private let memory = try! MemoryRegion(anonymous: 32 << 20)

  @Test func load() throws {
    let payload = (0..<10_000).map { UInt8($0 % 251) }
    let file = try Scratch(image(payload: payload))
    let disk = try Scratch([1, 2, 3, 4, 5])
    let kernel = try LinuxKernel(path: file.path)
    try kernel.load(into: memory.slice, initrd: disk.path, commandLine: "console=ttyS0")
    #expect(kernel.entry == 16 << 20 + 0x200)
    #expect(memory.slice.slice(at: 16 << 20, count: payload.count).bytes() == payload)
    let page = memory.slice.slice(at: 0x7000, count: 4096).bytes()
    #expect(le32(page, at: 0x202) == 0x5372_6448)
    #expect(le64(page, at: 0x70) == 0xE0000)
    #expect(page[0x210] == 0xFF && page[0x211] & 1 == 1)
    #expect(le32(page, at: 0x218) == 32 << 20 - 4096 && le32(page, at: 0x21C) == 5)
    #expect(memory.slice.slice(at: 32 << 20 - 4096, count: 5).bytes() == [1, 2, 3, 4, 5])
    #expect(memory.slice.slice(at: 0x20000, count: 14).bytes() == Array("console=ttyS0\0".utf8))
    // The memory map ends with all that is above 1 MiB.
    #expect(page[0x1E8] == 3)
    #expect(le64(page, at: 0x2D0 + 40) == 1 << 20 && le64(page, at: 0x2D8 + 40) == 31 << 20)
    // The page tables map an address to itself: 0x1234567 is in entry 9 of the first directory.
    #expect(memory.slice.loadLE64(at: 0x9000) == 0xA003)
    #expect(memory.slice.loadLE64(at: 0xA000) == 0xB003)
    #expect(memory.slice.loadLE64(at: 0xB000 + 9 * 8) == 9 << 21 | 0x83)
    #expect(memory.slice.loadLE64(at: 0xE000 + 511 * 8) == (3 << 30 | 511 << 21) | 0x83)
  }

  @Test(arguments: 0..<8) func badImages(which: Int) throws {
    let bytes: [UInt8] =
      switch which {
      case 0: []
      case 1: Array("#!/bin/sh\n".utf8)
      case 2: image(payload: [])
      case 3: image(payload: [1]) { $0.storeLE(UInt16(0x200), at: 0x206) }
      case 4: image(payload: [1]) { $0.storeLE(UInt16(0), at: 0x236) }
      case 5: image(payload: [1]) { $0.storeLE(UInt8(0xFF), at: 0x201) }
      case 6: image(payload: [1]) { $0.storeLE(UInt64(4096), at: 0x258) }
      default: image(payload: [1]) { $0.storeLE(UInt8(200), at: 0x1F1) }
      }
    let file = try Scratch(bytes)
    let error = try #require(throws: MachineError.self) { try LinuxKernel(path: file.path) }
    #expect("\(error)".hasPrefix(file.path + ": "))
  }

  @Test func whatDoesNotFit() throws {
    let large = try Scratch(image(payload: [1]) { $0.storeLE(UInt32(64 << 20), at: 0x260) })
    #expect(throws: MachineError.self) {
      try LinuxKernel(path: large.path).load(into: memory.slice, initrd: nil, commandLine: "")
    }
    let small = try Scratch(image(payload: [1]))
    let disk = try Scratch([UInt8](repeating: 1, count: 9 << 20))
    let kernel = try LinuxKernel(path: small.path)
    #expect(throws: MachineError.self) {
      try kernel.load(into: memory.slice, initrd: disk.path, commandLine: "")
    }
    #expect(throws: MachineError.self) {
      try kernel.load(into: memory.slice, initrd: nil, commandLine: String(repeating: "a", count: 2048))
    }
    #expect(throws: MachineError.self) {
      try kernel.load(into: memory.slice, initrd: "/nonexistent", commandLine: "")
    }
    #expect(throws: MachineError.self) { try LinuxKernel(path: "/tmp") }
  }

  /// Random bytes in the header: an error, or an image that loads without touching what is not its own.
  @Test func randomHeaders() throws {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<300 {
      let bytes = image(payload: [UInt8](repeating: 9, count: 5000)) { bytes in
        for _ in 0..<6 {
          bytes.storeLE(UInt8.random(in: 0...255, using: &random), at: Int.random(in: 0x1F1..<0x268, using: &random))
        }
      }
      let file = try Scratch(bytes)
      guard let kernel = try? LinuxKernel(path: file.path) else { continue }
      try? kernel.load(into: memory.slice, initrd: file.path, commandLine: "x")
    }
  }
}
