import ImageFormats
import Testing
import WireBytes

@Suite struct VHDTests {
  /// Values that another program computed.
  @Test(
    arguments: [
      (10 << 20, 301, 4, 17), (64 << 20, 963, 8, 17), (100 << 20, 1003, 12, 17), (1 << 30, 2080, 16, 63),
      (128 << 30, 65535, 16, 255), (2040 << 30, 65535, 16, 255),
    ] as [(UInt64, UInt16, UInt8, UInt8)])
  func geometry(byteCount: UInt64, cylinders: UInt16, heads: UInt8, sectors: UInt8) {
    #expect(
      VHDGeometry(diskByteCount: byteCount) == VHDGeometry(cylinders: cylinders, heads: heads, sectors: sectors))
  }

  /// The footer that qemu-img 7.2 wrote for `create -f vpc -o subformat=fixed,force_size=on f.vhd 64M`, without its time.
  @Test func footerOfAnotherProgram() throws {
    var bytes = [UInt8](repeating: 0, count: 512)
    func put(_ offset: Int, _ text: String) {
      bytes.replaceSubrange(offset..<(offset + text.utf8.count), with: text.utf8)
    }
    func put(_ offset: Int, _ value: [UInt8]) { bytes.replaceSubrange(offset..<(offset + value.count), with: value) }
    put(0, "conectix")
    put(8, [0, 0, 0, 2, 0, 1, 0, 0] + [UInt8](repeating: 0xff, count: 8) + [0x2f, 1, 2, 3])
    put(28, "qem2")
    put(32, [0, 5, 0, 3])
    put(36, "Wi2k")
    put(40, [0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x03, 0xc3, 8, 17, 0, 0, 0, 2])
    put(68, (1...16).map { UInt8($0) })
    #expect(VHDFooter.read(bytes.rawSpan) == .damaged)
    let sum = bytes.reduce(UInt32(0)) { $0 + UInt32($1) }
    put(64, (0..<4).map { UInt8(truncatingIfNeeded: ~sum >> (24 - 8 * UInt32($0))) })
    guard case .footer(let footer) = VHDFooter.read(bytes.rawSpan) else { return #expect(Bool(false), "not read") }
    #expect(footer.kind == .fixed && footer.diskByteCount == 64 << 20 && footer.creatorName == "qem2")
    #expect(footer.geometry == VHDGeometry(cylinders: 963, heads: 8, sectors: 17))
    #expect(footer.uniqueID.description == "01020304-0506-0708-090a-0b0c0d0e0f10")
    #expect(footer.encoded() == bytes)
    #expect(VHDFooter.read(Array(bytes.dropLast()).rawSpan) == .footer(footer))
    #expect(VHDFooter.read(Array(bytes.dropFirst()).rawSpan) == .absent)
  }

  @Test func footerIsChecked() throws {
    func code(_ change: (inout VHDFooter) -> Void) -> String? {
      var footer = VHDFooter(kind: .dynamic, diskByteCount: 1 << 20, timeStamp: 0, dataOffset: 512)
      change(&footer)
      do throws(ImageFault) { try footer.check(at: 1000) } catch {
        #expect((error.offset ?? 0) > 1000)
        return error.code
      }
      return nil
    }
    #expect(code { _ in } == nil)
    #expect(code { $0.version = 0x2_0000 } == "vhd.version")
    for kind: UInt32 in [0, 1, 5, 6] { #expect(code { $0.kind = .init(rawValue: kind) } == "vhd.type") }
    for size in [0, 1000, VHD.maximumDiskByteCount + 512, UInt64.max] {
      #expect(code { $0.diskByteCount = size } == "vhd.size")
    }
  }

  @Test func headerAndLocators() throws {
    let path = "..\\base\\Grundplatte \u{e4}.vhd"
    let locator = VHDParentLocator(platform: .windowsRelative, space: 1, byteCount: 46, offset: 4096)
    var header = VHDDynamicHeader(
      tableOffset: 1536, entryCount: 7, blockByteCount: 2 << 20, parentID: .random(), parentTimeStamp: 9,
      parentName: "Grundplatte \u{e4}.vhd", locators: [locator])
    #expect(try VHDDynamicHeader(parsing: header.encoded().rawSpan, at: 512) == header)
    #expect(locator.range == 4096..<4608)
    #expect(VHDParentLocator(platform: .macURL, space: 1024, byteCount: 5, offset: 512).range == 512..<1536)
    #expect(VHDParentLocator(platform: .macURL, space: 700, byteCount: 5, offset: 512).range == nil)
    #expect(VHDParentLocator(platform: .macURL, space: 1, byteCount: 1 << 20, offset: 512).range == nil)
    let bytes = VHDParentLocator.encoded(path)
    #expect(locator.path(bytes.rawSpan) == path && locator.path((bytes + [0, 0]).rawSpan) == path)
    #expect(locator.path([0, 0xd8, 65, 0].rawSpan) == nil && locator.path([65, 0, 0, 0, 66, 0].rawSpan) == nil)
    func code(_ change: (inout [UInt8]) -> Void, isSummed: Bool = true) -> UInt64? {
      var bytes = header.encoded()
      change(&bytes)
      if isSummed {
        let sum = VHD.checksum(bytes.rawSpan, storedAt: 36)
        bytes.withMutableBytes { $0.storeBE(sum, at: 36) }
      }
      do throws(ImageFault) { _ = try VHDDynamicHeader(parsing: bytes.rawSpan, at: 512) } catch {
        return error.code == "vhd.header" ? error.offset : 0
      }
      return nil
    }
    #expect(code { _ in } == nil)
    #expect(code({ $0[100] = 1 }, isSummed: false) == 512 + 36)
    #expect(code { $0[0] = 1 } == 512 && code { $0[25] = 2 } == 512 + 24 && code { $0[23] = 1 } == 512 + 16)
    #expect(code { $0[33] = 0x30 } == 512 + 32 && code { $0[32] = 0x40 } == 512 + 32)
    header.parentName = String(repeating: "x", count: 300)
    #expect(try VHDDynamicHeader(parsing: header.encoded().rawSpan, at: 0).parentName.count == 255)
  }

  /// Whatever stands in the bytes, the parsers answer.
  @Test func fuzz() {
    var state: UInt64 = 7
    func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
    let seeds = [
      VHDFooter(kind: .differencing, diskByteCount: 1 << 30, timeStamp: 1, dataOffset: 512).encoded(),
      VHDDynamicHeader(
        tableOffset: 1536, entryCount: 512, blockByteCount: 2 << 20, parentName: "p",
        locators: [VHDParentLocator(platform: .windowsRelative, space: 1, byteCount: 8, offset: 4096)]
      ).encoded(),
    ]
    var accepted = 0
    for round in 0..<4000 {
      var bytes = seeds[round % 2]
      for _ in 0..<(1 + next() % 6) { bytes[Int(next()) % bytes.count] = UInt8(truncatingIfNeeded: next()) }
      let place = round % 2 == 0 ? 64 : 36
      if round % 3 != 0 {
        let sum = VHD.checksum(bytes.rawSpan, storedAt: place)
        bytes.withMutableBytes { $0.storeBE(sum, at: place) }
      }
      let cut = Array(bytes.prefix(round % 7 == 0 ? Int(next()) % bytes.count : bytes.count))
      if round % 2 == 0 {
        if case .footer(let footer) = VHDFooter.read(cut.rawSpan), (try? footer.check(at: 0)) != nil { accepted += 1 }
      } else if let header = try? VHDDynamicHeader(parsing: cut.rawSpan, at: 0) {
        accepted += 1
        for locator in header.locators {
          #expect((locator.range?.upperBound ?? 0) <= UInt64.max >> 1 + 1 << 33)
          _ = locator.path(cut.rawSpan)
        }
      }
    }
    #expect(accepted > 100)
  }
}
