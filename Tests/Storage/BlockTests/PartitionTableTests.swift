import Block
import LinuxIO
import Testing

/// A disk in an array.
struct Disk {
  var bytes: [UInt8]
  var sectorByteCount = 512

  func table() throws(PartitionTableError) -> PartitionTable {
    let bytes = bytes
    return try PartitionTable(byteCount: UInt64(bytes.count), sectorByteCount: sectorByteCount) {
      (offset, count) throws(BlockError) in
      guard offset + UInt64(count) <= UInt64(bytes.count) else { throw .outOfRange }
      return Array(bytes[Int(offset)..<(Int(offset) + count)])
    }
  }

  /// A line of an MBR.
  mutating func setEntry(
    _ index: Int, sector: Int = 0, type: UInt8, first: UInt32, count: UInt32, flags: UInt8 = 0
  ) {
    let base = sector * sectorByteCount
    let start = base + 446 + 16 * index
    bytes[start] = flags
    bytes[start + 4] = type
    for byte in 0..<4 {
      bytes[start + 8 + byte] = UInt8(truncatingIfNeeded: first >> (8 * byte))
      bytes[start + 12 + byte] = UInt8(truncatingIfNeeded: count >> (8 * byte))
    }
    bytes[base + 510] = 0x55
    bytes[base + 511] = 0xaa
  }

  /// A disk on which sfdisk or sgdisk has worked.
  static func made(byteCount: Int, script: String) throws -> (Disk, report: String) {
    let path = try shell("mktemp /tmp/synthgate-table.XXXXXX")
    defer { _ = try? shell("rm -f \(path)") }
    try shell("truncate -s \(byteCount) \(path)")
    try shell(script.replacing("DISK", with: path))
    let report = (try? shell("sfdisk -d \(path)")) ?? ""
    let file = try OwnedDescriptor.open(path, flags: 0)
    var bytes: [UInt8] = []
    while bytes.count < byteCount { bytes += try readAvailable(file.number) }
    return (Disk(bytes: bytes), report)
  }
}

@discardableResult
func shell(_ command: String) throws -> String {
  let pipe = try LinePipe()
  let process = try ProcessHandle.start(["/bin/sh", "-c", command], output: pipe.writer.number)
  var output: [UInt8] = []
  while true {
    // What is there is read first, so that the end of the process means the end of its output.
    let ready = waitForInput([pipe.reader.number, process.descriptor], milliseconds: 60_000)
    guard ready & 1 != 0 else { break }
    output += try readAvailable(pipe.reader.number)
  }
  guard process.exitCode() == 0 else { throw Errno.EIO }
  let text = String(decoding: output, as: UTF8.self)
  return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

extension PartitionTable {
  /// What `sfdisk -d` says of each partition.
  static func sfdisk(_ report: String) -> [[String: String]] {
    report.split(separator: "\n").filter { $0.contains("start=") }.map { line in
      let (device, rest) = (line.prefix { $0 != ":" }, line.drop { $0 != ":" }.dropFirst())
      // The file's name ends with six letters or digits; the number follows.
      var fields: [String: String] = [:]
      for field in rest.split(separator: ",") {
        let parts = field.split(separator: "=", maxSplits: 1).map {
          String($0.filter { $0 != "\"" }.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        fields[parts[0]] = parts.count > 1 ? parts[1] : "yes"
      }
      fields["device"] = String(device.reversed().drop { $0 == " " }.reversed())
      return fields
    }
  }
}

@Suite struct PartitionTableTests {
  static let gptScript = """
    sgdisk -o -U 11111111-2222-3333-4444-555555555555 \
      -n 1:2048:4095 -t 1:ef00 -c 1:'EFI' -u 1:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee \
      -n 3:4096:8191 -t 3:8300 -c 3:'Wurzel \u{fc}' -n 2:8192:0 -t 2:0700 DISK >/dev/null
    """

  private func expectAgreement(_ table: PartitionTable, _ report: String, extended: Set<String> = []) {
    let lines = PartitionTable.sfdisk(report).filter { !extended.contains($0["type"] ?? "") }
    #expect(!lines.isEmpty && table.partitions.count == lines.count)
    for (partition, line) in zip(table.partitions, lines) {
      #expect(line["device"]?.hasSuffix(String(partition.number)) == true)
      #expect("\(partition.offset / 512)" == line["start"] && "\(partition.byteCount / 512)" == line["size"])
      // sfdisk writes what is not ASCII as \x and hexadecimal digits.
      if partition.name.utf8.allSatisfy({ $0 < 128 }) { #expect(partition.name == line["name"] ?? "") }
      if table.scheme == .gpt {
        #expect(partition.type == line["type"]?.lowercased() && partition.uuid == line["uuid"]?.lowercased())
      } else {
        #expect(partition.type.dropFirst(2).drop { $0 == "0" } == line["type"] ?? "")
        #expect((partition.attributes == 4) == (line["bootable"] != nil))
      }
    }
  }

  @Test func gptAgreesWithSfdisk() throws {
    let (disk, report) = try Disk.made(byteCount: 8 << 20, script: Self.gptScript)
    let table = try disk.table()
    #expect(table.scheme == .gpt && table.identifier == "11111111-2222-3333-4444-555555555555" && table.notes == [])
    #expect(table.partitions.map(\.name) == ["EFI", "", "Wurzel \u{fc}"])
    #expect(table.partitions[0].type == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
    #expect(table.partitions[0].uuid == "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
    expectAgreement(table, report)
  }

  @Test func mbrAgreesWithSfdisk() throws {
    let script = """
      printf 'label: dos\\nlabel-id: 0xdeadbeef\\n2048,2048,83,*\\n4096,10000,5\\n14336,512,c\\n\
      5000,100,82\\n6000,500,83\\n8000,1000,83\\n' | sfdisk -q DISK
      """
    let (disk, report) = try Disk.made(byteCount: 8 << 20, script: script)
    let table = try disk.table()
    #expect(table.scheme == .mbr && table.identifier == "deadbeef" && table.notes == [])
    #expect(table.partitions.map(\.number) == [1, 3, 5, 6, 7])
    #expect(table.partitions.last?.uuid == "deadbeef-07")
    expectAgreement(table, report, extended: ["5", "f"])
  }

  @Test func partedMakesTables() throws {
    let (disk, report) = try Disk.made(
      byteCount: 16 << 20,
      script: "parted -s DISK mklabel gpt mkpart first ext4 1MiB 5MiB mkpart second fat32 5MiB 100%")
    let table = try disk.table()
    #expect(table.partitions.map(\.name) == ["first", "second"])
    expectAgreement(table, report)
  }

  @Test func largeSectors() throws {
    let (small, _) = try Disk.made(byteCount: 8 << 20, script: Self.gptScript)
    // The same table in sectors of 4096 bytes is what sgdisk makes on a loop device with such sectors.
    guard let path = try? shell("truncate -s 8M /tmp/synthgate-4k && losetup -f --show -b 4096 /tmp/synthgate-4k")
    else {
      return
    }
    defer { _ = try? shell("losetup -d \(path); rm -f /tmp/synthgate-4k") }
    try shell("sgdisk -o -n 1:256:511 -n 2:512:0 \(path) >/dev/null")
    let file = try OwnedDescriptor.open("/tmp/synthgate-4k", flags: 0)
    try shell("sync")
    var bytes: [UInt8] = []
    while bytes.count < 8 << 20 { bytes += try readAvailable(file.number) }
    let table = try Disk(bytes: bytes, sectorByteCount: 4096).table()
    #expect(table.partitions.map(\.offset) == [1 << 20, 2 << 20] && table.notes == [])
    guard case .damaged(let reasons)? = failure(Disk(bytes: bytes)) else {
      return #expect(Bool(false), "read with the wrong sector size")
    }
    #expect(reasons.last == "a table for sectors of 4096 bytes is there")
    #expect(failure(Disk(bytes: small.bytes, sectorByteCount: 4096)) != nil)
  }

  private func failure(_ disk: Disk) -> PartitionTableError? {
    do throws(PartitionTableError) { _ = try disk.table() } catch { return error }
    return nil
  }

  @Test func damagedCopies() throws {
    let (disk, _) = try Disk.made(byteCount: 8 << 20, script: Self.gptScript)
    let good = try disk.table()
    // Each byte of the primary: header and the entries that are used; the partitions stay the same.
    for position in Array(512..<604) + Array(stride(from: 1024, to: 1408, by: 7)) {
      var broken = disk
      broken.bytes[position] ^= 0x21
      let table = try broken.table()
      #expect(table.partitions == good.partitions && table.identifier == good.identifier)
      #expect(table.notes.count == 1)
    }
    // The backup: its damage is noted.
    let backup = disk.bytes.count - 512
    for position in backup..<(backup + 92) {
      var broken = disk
      broken.bytes[position] ^= 0x21
      let table = try broken.table()
      #expect(table.partitions == good.partitions && table.notes.count == 1)
    }
    var broken = disk
    broken.bytes[512] = 0
    broken.bytes[backup + 20] ^= 1
    #expect(failure(broken) == .damaged(["sector 1: no signature", "sector 16383: wrong header checksum"]))
    // A disk that has grown, and one that was cut off.
    broken = disk
    broken.bytes += [UInt8](repeating: 0, count: 1 << 20)
    #expect(try broken.table().notes == ["the backup of the GPT is not at the end of the disk"])
    broken.bytes[1024] ^= 1
    #expect(try broken.table().partitions == good.partitions)
    broken = disk
    broken.bytes.removeLast(4 << 20)
    #expect(failure(broken) != nil)
    // Partitions that are on the disk beside the GPT in a hybrid MBR.
    broken = disk
    broken.setEntry(1, type: 0x83, first: 2048, count: 100)
    #expect(try broken.table().partitions == good.partitions)
    #expect(try broken.table().notes.first?.hasPrefix("hybrid MBR") == true)
  }

  @Test func noTable() throws {
    #expect(try Disk(bytes: [UInt8](repeating: 0, count: 1 << 20)).table().scheme == .none)
    #expect(try Disk(bytes: []).table().scheme == .none)
    for filesystem in ["mkfs.fat -F 16", "mkfs.ext4 -q -F", "mkfs.ntfs -q -F -f"] {
      let (disk, _) = try Disk.made(byteCount: 16 << 20, script: "\(filesystem) DISK >/dev/null 2>&1")
      let table = try disk.table()
      #expect(table.scheme == .none && table.partitions.isEmpty, "\(filesystem)")
    }
    var text = Disk(bytes: [UInt8](repeating: 0x41, count: 1 << 20))
    text.bytes[510] = 0x55
    text.bytes[511] = 0xaa
    #expect(try text.table().scheme == .none && text.table().notes.count == 1)
    #expect(throws: PartitionTableError.unreadable(.medium)) {
      try PartitionTable(byteCount: 4096, sectorByteCount: 512) { (_, _) throws(BlockError) in throw .medium }
    }
  }

  @Test func hostileMBR() throws {
    let empty = Disk(bytes: [UInt8](repeating: 0, count: 1 << 20))
    var disk = empty
    disk.setEntry(0, type: 0x83, first: 100, count: 100)
    disk.setEntry(1, type: 0x83, first: 150, count: 100)
    disk.setEntry(2, type: 0x83, first: 2000, count: 49)
    disk.setEntry(3, type: 0x83, first: .max, count: .max)
    var table = try disk.table()
    #expect(table.partitions.map(\.number) == [1] && table.notes.count == 3)
    // A chain that leads back to its start, and one that leads off the disk.
    disk = empty
    disk.setEntry(0, type: 5, first: 100, count: 1000)
    disk.setEntry(0, sector: 100, type: 0x83, first: 10, count: 10)
    disk.setEntry(1, sector: 100, type: 5, first: 50, count: 10)
    disk.setEntry(0, sector: 150, type: 0x83, first: 10, count: 10)
    disk.setEntry(1, sector: 150, type: 5, first: 0, count: 10)
    table = try disk.table()
    #expect(table.partitions.map(\.number) == [5, 6] && table.partitions.map(\.offset) == [110 * 512, 160 * 512])
    #expect(table.notes == ["the chain of logical partitions leads back to sector 100"])
    disk.setEntry(1, sector: 150, type: 5, first: .max, count: 10)
    #expect(try disk.table().notes.first?.contains("can't be read") == true)
    // A chain without end.
    disk = empty
    disk.setEntry(0, type: 0xf, first: 1, count: 2000)
    for link in 1..<1500 { disk.setEntry(1, sector: link, type: 5, first: UInt32(link), count: 1) }
    #expect(try disk.table().notes == ["only 256 logical partitions are looked at"])
  }

  /// Whatever stands there: no trap, and what is answered lies on the disk, without overlaps.
  @Test func fuzz() throws {
    let (gpt, _) = try Disk.made(byteCount: 1 << 20, script: "sgdisk -o -n 1:100:200 -n 2:300:400 DISK >/dev/null")
    let (mbr, _) = try Disk.made(
      byteCount: 1 << 20,
      script: "printf 'label: dos\\n64,64\\n200,1000,5\\n210,50\\n300,50\\n' | sfdisk -q DISK")
    var state: UInt64 = 7
    func random(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % limit
    }
    var parsedCount = 0
    for round in 0..<4000 {
      var disk = round % 2 == 0 ? gpt : mbr
      // Where the tables are: the first sectors, the links, the backup.
      let places = [0..<512, 446..<512, 512..<608, 1024..<1280, 102_400..<102_912, (1 << 20) - 512..<(1 << 20) - 400]
      for _ in 0...random(6) {
        let place = places[random(places.count)]
        disk.bytes[place.lowerBound + random(place.count)] = [0, 0xff, 0x80, UInt8(random(256))][random(4)]
      }
      // A hostile disk has right checksums.
      if round % 4 == 0 { disk.repairChecksums() }
      guard let table = try? disk.table() else { continue }
      parsedCount += 1
      var end: UInt64 = 0
      for partition in table.partitions.sorted(by: { $0.offset < $1.offset }) {
        #expect(partition.offset >= end && partition.offset > 0 && partition.byteCount > 0)
        end = partition.offset + partition.byteCount
        #expect(end <= 1 << 20 && partition.name.unicodeScalars.allSatisfy { $0.value >= 32 })
      }
    }
    #expect(parsedCount > 2000)
  }
}

extension Disk {
  /// Makes the checksums of the primary header and entries right, whatever they say.
  mutating func repairChecksums() {
    func crc(_ bytes: ArraySlice<UInt8>) -> UInt32 {
      var value: UInt32 = ~0
      for byte in bytes {
        value ^= UInt32(byte)
        for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : (value >> 1) ^ 0xedb8_8320 }
      }
      return ~value
    }
    func number(_ position: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) } }
    func store(_ value: UInt32, _ position: Int) {
      for byte in 0..<4 { bytes[position + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
    }
    let count = number(512 + 80) * number(512 + 84)
    if count > 0, count <= 65536 { store(crc(bytes[1024..<(1024 + count)]), 512 + 88) }
    let length = number(512 + 12)
    guard length >= 92, length <= 512 else { return }
    store(0, 512 + 16)
    store(crc(bytes[512..<(512 + length)]), 512 + 16)
  }
}
