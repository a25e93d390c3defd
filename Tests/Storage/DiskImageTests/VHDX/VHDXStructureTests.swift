import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing
import WireBytes

/// What a reader must accept and what it must refuse.
@Suite(.serialized) struct VHDXStructureTests {
  /// Places in the images that this program makes.
  static let log: UInt64 = 1 << 20
  static let metadata: UInt64 = 2 << 20
  static let table: UInt64 = 3 << 20
  static let data: UInt64 = 4 << 20

  private func header(_ path: String, _ slot: Int) throws -> VHDXHeader {
    let bytes = Array(try contents(path)[Int(VHDX.headerOffsets[slot])...].prefix(4096))
    let header = VHDXHeader(parsing: bytes.rawSpan)
    return try #require(header)
  }

  private func put(_ path: String, _ slot: Int, _ header: VHDXHeader) throws {
    try patch(path, at: VHDX.headerOffsets[slot], header.encoded())
  }

  /// A fresh image in which `change` does something; answers the fault of opening it, and that nothing was written.
  private func fault(
    byteCount: UInt64 = 8 << 20, isReadOnly: Bool = false, _ change: (String) throws -> Void
  ) throws -> String? {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: byteCount)
    try change(path)
    let before = try contents(path)
    let fault = openFault(path, vhdxOptions(isReadOnly: isReadOnly))
    #expect(try contents(path) == before, "opening has written")
    return fault
  }

  @Test func identifierAndSize() throws {
    let scratch = try Scratch()
    #expect(openFault(try scratch.file("a", byteCount: 2 << 20), .with(.vhdx)) == "vhdx.id")
    let small = try scratch.file("b", byteCount: 512)
    try patch(small, at: 0, VHDX.signature)
    #expect(openFault(small) == "vhdx.small")
    let headless = try scratch.file("c", byteCount: 2 << 20)
    try patch(headless, at: 0, VHDX.signature)
    #expect(openFault(headless) == "vhdx.header.none")
    #expect(openError(headless, .with(.raw)) == nil)
  }

  @Test func headers() throws {
    #expect(try fault { try patch($0, at: VHDX.headerOffsets[0] + 100, [1]) } == nil)
    #expect(try fault { try patch($0, at: VHDX.headerOffsets[1] + 100, [1]) } == nil)
    #expect(
      try fault { path in for offset in VHDX.headerOffsets { try patch(path, at: offset + 100, [1]) } }
        == "vhdx.header.none")
    #expect(
      try fault { path in
        var one = try header(path, 0)
        one.sequenceNumber = 7
        try put(path, 0, one)
        try put(path, 1, one)
      } == nil)
    #expect(
      try fault { path in
        var one = try header(path, 0)
        one.sequenceNumber = 7
        try put(path, 0, one)
        one.dataWriteGUID = .random()
        try put(path, 1, one)
      } == "vhdx.header.tie")
    func change(_ body: @escaping (inout VHDXHeader) -> Void) throws -> String? {
      try fault { path in
        var one = try header(path, 0)
        one.sequenceNumber = 9
        body(&one)
        try put(path, 0, one)
      }
    }
    #expect(try change { $0.version = 2 } == "vhdx.version")
    #expect(try change { $0.logVersion = 1 } == nil)
    #expect(
      try change {
        $0.logVersion = 1
        $0.logGUID = .random()
      } == "vhdx.version")
    #expect(try change { $0.logGUID = .random() } == "vhdx.log.corrupt")
    #expect(try change { $0.logOffset = 0 } == "vhdx.log.place")
    #expect(try change { $0.logOffset = 4096 + 1 << 20 } == "vhdx.log.place")
    #expect(try change { $0.logOffset = 1 << 40 } == "vhdx.log.place")
    #expect(try change { $0.logOffset = UInt64.max << 20 } == "vhdx.log.place")
    #expect(try change { $0.logByteCount = 0 } == "vhdx.log.place")
    #expect(try change { $0.logByteCount = UInt32.max << 20 } == "vhdx.log.place")
    #expect(try change { $0.logOffset = 2 << 20 } == "vhdx.region.bad")
  }

  @Test func regionTables() throws {
    #expect(
      try fault { path in for offset in VHDX.regionTableOffsets { try patch(path, at: offset + 40, [9]) } }
        == "vhdx.region.table")
    func change(_ body: @escaping (inout [VHDXRegionTable.Entry]) -> Void) throws -> String? {
      try fault { path in
        var entries: [VHDXRegionTable.Entry] = [
          .init(id: VHDXRegionTable.blockTable, offset: Self.table, byteCount: 1 << 20, isRequired: false),
          .init(id: VHDXRegionTable.metadata, offset: Self.metadata, byteCount: 1 << 20, isRequired: false),
        ]
        body(&entries)
        for offset in VHDX.regionTableOffsets { try patch(path, at: offset, VHDXRegionTable(entries).encoded()) }
      }
    }
    #expect(try change { _ in } == nil)
    let unknown = GUID(1, 2, 3, 4)
    #expect(
      try change { $0.append(.init(id: unknown, offset: 64 << 20, byteCount: 1 << 20)) } == "vhdx.region.unknown")
    #expect(
      try change { $0.append(.init(id: unknown, offset: 64 << 20, byteCount: 1 << 20, isRequired: false)) } == nil)
    #expect(try change { $0.removeLast() } == "vhdx.region.missing")
    #expect(try change { $0.append($0[0]) } == "vhdx.region.bad")
    #expect(try change { $0[0].byteCount = 0 } == "vhdx.region.bad")
    #expect(try change { $0[0].byteCount = 4096 } == "vhdx.region.bad")
    #expect(try change { $0[0].offset += 4096 } == "vhdx.region.bad")
    #expect(try change { $0[0].offset = Self.log } == "vhdx.region.bad")
    #expect(try change { $0[0].offset = 1 << 40 } == "vhdx.region.bad")
    #expect(try change { $0[0].offset = UInt64.max << 20 } == "vhdx.region.bad")
  }

  /// One copy is damaged: the image opens, and both are whole after the first change.
  @Test(arguments: [0, 1]) func regionTableIsRepaired(copy: Int) throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 8 << 20)
    let good = try contents(path)[Int(VHDX.regionTableOffsets[0])...].prefix(VHDXRegionTable.byteCount)
    try patch(path, at: VHDX.regionTableOffsets[copy], [0xff])
    let image = try DiskImage.open(path)
    let queue = try TestQueue(image)
    #expect(queue.write([UInt8](repeating: 1, count: 512), 0) == nil)
    queue.queue.close()
    try image.close()
    for offset in VHDX.regionTableOffsets {
      #expect(Array(try contents(path)[Int(offset)...].prefix(VHDXRegionTable.byteCount)) == Array(good))
    }
  }

  @Test func metadata() throws {
    func item(_ item: VHDXMetadataItem, _ bytes: [UInt8]) throws -> String? {
      try fault { path in
        let table = Array(try contents(path)[Int(Self.metadata)...].prefix(VHDXMetadataTable.byteCount))
        let parsed = try VHDXMetadataTable(
          parsing: table.rawSpan, regionOffset: Self.metadata, regionByteCount: 1 << 20)
        try patch(path, at: Self.metadata + UInt64(try #require(parsed.item(item.id)).offset), bytes)
      }
    }
    #expect(try item(.fileParameters, le32(3 << 20) + le32(0)) == "vhdx.param")
    #expect(try item(.fileParameters, le32(512 << 10) + le32(0)) == "vhdx.param")
    #expect(try item(.fileParameters, le32(0) + le32(0)) == "vhdx.param")
    #expect(try item(.fileParameters, le32(1 << 20) + le32(8)) == "vhdx.param")
    #expect(try item(.fileParameters, le32(1 << 20) + le32(2)) == "vhdx.parent.locator")
    #expect(try item(.logicalSectorSize, le32(1024)) == "vhdx.param")
    #expect(try item(.physicalSectorSize, le32(1024)) == "vhdx.param")
    #expect(try item(.diskSize, le64(0)) == "vhdx.param")
    #expect(try item(.diskSize, le64(65 << 40)) == "vhdx.param")
    #expect(try item(.diskSize, le64(8 << 20 + 100)) == "vhdx.param")
    #expect(try item(.diskSize, le64(64 << 40)) == "vhdx.bat.small")

    func change(_ body: @escaping (inout [VHDXMetadataTable.Entry]) -> Void) throws -> String? {
      try fault { path in
        let table = Array(try contents(path)[Int(Self.metadata)...].prefix(VHDXMetadataTable.byteCount))
        var parsed = try VHDXMetadataTable(
          parsing: table.rawSpan, regionOffset: Self.metadata, regionByteCount: 1 << 20)
        body(&parsed.entries)
        try patch(path, at: Self.metadata, parsed.encoded())
      }
    }
    let unknown = GUID(1, 2, 3, 4)
    func extra(_ id: GUID, isUser: Bool = false, isRequired: Bool) -> VHDXMetadataTable.Entry {
      .init(id: id, offset: 0, byteCount: 0, isUser: isUser, isVirtualDisk: false, isRequired: isRequired)
    }
    #expect(try change { $0.reverse() } == nil)
    #expect(try change { $0.append(extra(unknown, isRequired: true)) } == "vhdx.meta.unknown")
    #expect(try change { $0.append(extra(unknown, isRequired: false)) } == nil)
    #expect(try change { $0.append(extra(unknown, isUser: true, isRequired: true)) } == "vhdx.meta.bad")
    #expect(
      try change { $0.append(extra(VHDXMetadataItem.incompleteMarker, isRequired: true)) } == "vhdx.meta.incomplete")
    #expect(try change { $0.removeAll { $0.id == VHDXMetadataItem.diskID.id } } == "vhdx.meta.missing")
    #expect(try change { $0[0].byteCount = 4 } == "vhdx.meta.missing")
    #expect(try change { $0[0].offset = 100 } == "vhdx.meta.bad")
    #expect(try change { $0[0].offset = 1 << 20 } == "vhdx.meta.bad")
    #expect(try change { $0[0].byteCount = UInt32.max } == "vhdx.meta.bad")
    #expect(try change { $0[1].offset = $0[0].offset + 4 } == "vhdx.meta.bad")
    #expect(try change { $0.append($0[0]) } == "vhdx.meta.bad")
    #expect(try fault { try patch($0, at: Self.metadata, [0]) } == "vhdx.meta.bad")
    #expect(try fault { try patch($0, at: Self.metadata + 10, [0xff, 0xff]) } == "vhdx.meta.bad")
  }

  @Test func blockTable() throws {
    func entries(_ values: [UInt64], length: UInt64 = 8 << 20) throws -> String? {
      try fault { path in
        try OwnedDescriptor.open(path, flags: 2).truncate(to: length)
        try patch(path, at: Self.table, values.flatMap { le64($0) })
      }
    }
    #expect(try entries([4 << 20 | 6, 5 << 20 | 6, 2, 3, 1, 6 << 20 | 3]) == nil)
    #expect(try entries([4 << 20 | 6, 4 << 20 | 6]) == "vhdx.bat.entry")
    #expect(try entries([6]) == "vhdx.bat.entry")
    #expect(try entries([2 << 20 | 6]) == "vhdx.bat.entry")
    #expect(try entries([1 << 20 | 6]) == "vhdx.bat.entry")
    #expect(try entries([8 << 20 | 6]) == "vhdx.bat.entry")
    #expect(try entries([UInt64.max << 20 | 6]) == "vhdx.bat.entry")
    #expect(try entries([4 << 20 | 8 | 6]) == "vhdx.bat.entry")
    #expect(try entries([4 << 20 | 4]) == "vhdx.bat.entry")
    #expect(try entries([5]) == "vhdx.bat.entry")
    #expect(try entries([4 << 20 | 7]) == "vhdx.bat.entry")
    guard
      case .fault(let fault)? = try { () throws -> DiskImageError? in
        let scratch = try Scratch(memory: true)
        let path = try scratch.vhdx(byteCount: 8 << 20)
        try patch(path, at: Self.table + 24, le64(9 << 20 | 6))
        return openError(path)
      }()
    else { return #expect(Bool(false), "no fault") }
    #expect(fault.offset == Self.table + 24 && fault.text.contains("block 3"))
  }

  /// A table that is too long to be looked at as a whole is looked at where it is used.
  @Test func entriesOfLongTablesAreCheckedWhenUsed() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 1 << 40)
    try patch(path, at: Self.table, le64(2 << 20 | 6) + le64(0) + le64(4 << 40 | 6) + le64(4))
    let before = try contents(path)
    let image = try DiskImage.open(path)
    let queue = try TestQueue(image)
    #expect(queue.read(0, 512).1 == .medium && queue.read(2 << 20, 512).1 == .medium)
    #expect(queue.read(3 << 20, 512).1 == .medium)
    #expect(queue.read(1 << 20, 512).0 == [UInt8](repeating: 0, count: 512))
    queue.queue.close()
    try image.close()
    #expect(try contents(path) == before)
  }

  /// An image without a change is closed as it was; so is one that was only flushed.
  @Test func openingAndClosingWritesNothing() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 8 << 20)
    let before = try contents(path)
    let image = try DiskImage.open(path)
    let queue = try TestQueue(image)
    #expect(queue.range(.flush).error == nil && queue.read(0, 4096).1 == nil)
    queue.queue.close()
    try image.close()
    #expect(try contents(path) == before)
  }

  /// The first change gives the disk a new identity of its contents, which is durable before the data.
  @Test func identifiersChangeBeforeData() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 8 << 20)
    let before = try header(path, 0)
    let recorder = CrashRecorder()
    let image = try DiskImage.open(path, options: vhdxOptions(observer: recorder))
    let queue = try TestQueue(image)
    #expect(queue.read(0, 512).1 == nil && recorder.count == 0)
    #expect(queue.write([UInt8](repeating: 1, count: 512), 0) == nil)
    let changes = recorder.all
    let data = try #require(changes.firstIndex { if case .write(4 << 20, _, _) = $0 { true } else { false } })
    let written = changes[..<data].lastIndex {
      if case .write(VHDX.headerOffsets[1], _, _) = $0 { true } else { false }
    }
    #expect(changes[(try #require(written))..<data].contains(.synchronizeEnd))
    queue.queue.close()
    try image.close()
    let (first, second) = (try header(path, 0), try header(path, 1))
    #expect(first.dataWriteGUID == second.dataWriteGUID && first.dataWriteGUID != before.dataWriteGUID)
    #expect(first.fileWriteGUID == second.fileWriteGUID && first.fileWriteGUID != before.fileWriteGUID)
    #expect(first.logGUID == .zero && second.logGUID == .zero)
  }

  /// A failed synchronization makes all later writes and flushes fail, on other queues, too.
  @Test func failedSynchronizationPoisons() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 8 << 20)
    let recorder = CrashRecorder()
    let image = try DiskImage.open(path, options: vhdxOptions(observer: recorder))
    let queues = [try TestQueue(image), try TestQueue(image)]
    let sector = [UInt8](repeating: 1, count: 512)
    #expect(queues[0].write(sector, 0) == nil)
    recorder.fail(recorder.count + 2, .EIO)
    #expect(queues[0].range(.flush).error != nil)
    for queue in queues {
      #expect(queue.write(sector, 1 << 20) == .failed && queue.range(.flush).error == .failed)
      #expect(queue.read(0, 512).0 == sector)
      queue.queue.close()
    }
    #expect(throws: DiskImageError.self) { try image.close() }
  }
}

extension DiskImage.Options {
  static func with(_ format: DiskImage.Format) -> Self {
    var options = vhdxOptions()
    options.format = format
    return options
  }
}
