import SCSI
import TestVectors
import Testing
import WireBytes

/// Parsers get mutated and random bytes: none may trap, and what they accept must survive encoding and parsing again.
@Suite struct FuzzTests {
  @Test func commandBlocks() {
    var generator = SeededGenerator(seed: 1)
    let opcodes = (UInt8.min...UInt8.max).filter {
      do throws(CommandError) {
        _ = try Command(parsing: CommandDescriptorBlock(high: UInt64($0) << 56, low: 0, byteCount: 16)!)
        return true
      } catch .invalidOpcode {
        return false
      } catch {
        return true
      }
    }
    #expect(opcodes.count == 37)
    var accepted = 0
    for _ in 0..<40_000 {
      let high = generator.next() & generator.next() & 0x00ff_ffff_ffff_ffff
      let opcode = UInt64(opcodes.randomElement(using: &generator)!)
      let count = Int.random(in: 1...16, using: &generator)
      let low = generator.next() & generator.next() & generator.next()
      let cdb = CommandDescriptorBlock(high: opcode << 56 | high, low: low, byteCount: count)!
      guard let command = try? Command(parsing: cdb) else { continue }
      accepted += 1
      #expect(cdb.byteCount >= cdb.opcode.blockByteCount!)
      switch command {
      case .read(let lba, let blocks, let fua, false):
        #expect(try! Command(parsing: .read16(lba: lba, blocks: blocks, fua: fua)) == command)
      case .write(let lba, let blocks, let fua, false):
        #expect(try! Command(parsing: .write16(lba: lba, blocks: blocks, fua: fua)) == command)
      case .synchronizeCache(let lba, let blocks, false):
        #expect(try! Command(parsing: .synchronizeCache16(lba: lba, blocks: blocks)) == command)
      case .inquiry(let page, let allocation):
        #expect(try! Command(parsing: .inquiry(page: page, allocation: UInt16(allocation))) == command)
      case .unmap(let listLength, false):
        #expect(try! Command(parsing: .unmap(listLength: UInt16(listLength))) == command)
      default:
        break
      }
    }
    #expect(accepted > 5_000)
  }

  @Test func senseData() {
    var generator = SeededGenerator(seed: 2)
    let seed = encoded { SenseData.capacityChanged.encode(into: &$0) }
    var accepted = 0
    for _ in 0..<10_000 {
      guard let sense = SenseData(parsing: generator.mutation(of: seed).rawSpan) else { continue }
      accepted += 1
      #expect(sense.key.rawValue < 16)
      #expect(SenseData(parsing: encoded { sense.encode(into: &$0) }.rawSpan) == sense)
    }
    #expect(accepted > 1_000)
  }

  @Test func parameterData() {
    var generator = SeededGenerator(seed: 3)
    func golden(_ name: String) -> [UInt8] { GoldenVector.named(name, in: vectors).bytes }

    /// Parses mutations of the vector `name`; of those accepted, the encoding must parse to the same value.
    func check<Value: Equatable>(
      _ name: String, seed: [UInt8]? = nil, _ parse: ([UInt8]) throws -> Value,
      _ encode: (Value, inout MutableRawSpan) -> Int
    ) {
      let seed = seed ?? golden(name)
      var accepted = 0
      for _ in 0..<4_000 {
        guard let value = try? parse(generator.mutation(of: seed)) else { continue }
        accepted += 1
        let bytes = encoded { encode(value, &$0) }
        let again = try? parse(bytes)
        #expect(again == value, "\(name)")
      }
      #expect(accepted > 300, "\(name)")
    }

    check("D02", { try StandardInquiry(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check("D04", { try SupportedVPDPages(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check(
      "VPD 80", seed: [0, 0x80, 0, 7] + Array("SG-0001".utf8), { try UnitSerialNumber(parsing: $0.rawSpan) },
      { $0.encode(into: &$1) })
    check("D05", { try DeviceIdentification(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check("D06", { try BlockLimits(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check("D07", { try BlockDeviceCharacteristics(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check("D08", { try LogicalBlockProvisioning(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check("D09", { try Capacity(parsing10: $0.rawSpan) }, { $0.encode10(into: &$1) })
    check("D10", { try Capacity(parsing16: $0.rawSpan) }, { $0.encode16(into: &$1) })
    check("D11", { try ModeParameters(parsingSense: $0.rawSpan, ten: false) }, { $0.encode(into: &$1, ten: false) })
    check("D12", { try ModeParameters(parsingSense: $0.rawSpan, ten: true) }, { $0.encode(into: &$1, ten: true) })
    check("D11", { try ModeParameters(parsingSelect: $0.rawSpan, ten: false) }, { $0.encode(into: &$1, ten: false) })
    check("D12", { try ModeParameters(parsingSelect: $0.rawSpan, ten: true) }, { $0.encode(into: &$1, ten: true) })
    check("D13", { try LUNList(parsing: $0.rawSpan).luns }, { LUNList($0).encode(into: &$1) })
    check("D16", { try LBAStatusList(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check("D17", { try PersistentReserveOutParameters(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check("D16", { try ReservationKeys(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check("D16", { try ReservationReport(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check("D17", { try ReservationCapabilities(parsing: $0.rawSpan) }, { $0.encode(into: &$1) })
    check(
      "D14", { try extents($0) },
      { extents, target in
        UnmapList.storeHeader(descriptors: extents.count, into: &target)
        for (index, extent) in extents.enumerated() {
          UnmapList.store(extent, at: index, into: &target)
        }
        return UnmapList.byteCount(descriptors: extents.count)
      })
  }
}
