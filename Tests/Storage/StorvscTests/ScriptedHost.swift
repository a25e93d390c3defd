import LinuxIO
import SCSI
import SharedMemory
import StorvscProtocol
import Synchronization
import VMBusChannel
import VMBusProtocol
import VMBusRing
import WireBytes

/// What a scripted host does with a command.
enum Answer: Sendable {
  /// Carries it out.
  case execute
  /// Carries it out, but tells another number of bytes.
  case executeTelling(Int)
  /// Does nothing and answers this.
  case reply(NTStatus, SCSIRequest)
  /// Never answers.
  case silence
  /// Answers with these bytes instead of a vstor packet, under this id (nil: the right one).
  case raw([UInt8], id: UInt64?)

  static func sense(_ sense: SenseData) -> Answer {
    let request = SCSIRequest.checkCondition(sense)
    return .reply(request.srbStatus.headerStatus, request)
  }

  static func srb(_ status: SRBStatus, _ scsi: SCSIStatus = .good) -> Answer {
    .reply(status.headerStatus, .completion(status, scsi))
  }
}

/// A disk of the scripted host.
struct ScriptedDisk: Sendable {
  var data: [UInt8]
  var sector = 512
  var id = DiskIdentifier(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)
  var hasFUA = true
  var hasWriteCache = true
  var hasUnmap = true
  var writeSameBlocks: UInt64 = 0
  var isReserved = false
  var capacityBytes: Int
  var qualifier: UInt8 = 0

  init(byteCount: Int, sector: Int = 512) {
    data = [UInt8](repeating: 0, count: byteCount)
    capacityBytes = byteCount
    self.sector = sector
  }
}

/// A tiny virtualization service provider whose every answer can be scripted. It survives the channels to it.
final class ScriptedHost: Sendable {
  struct Logged: Sendable, Equatable {
    var opcode: Opcode
    var lba: UInt64
    var channel: Int
    var isForced: Bool
  }

  struct State {
    var disks: [UInt8: ScriptedDisk] = [:]
    var versions: [StorvscVersion] = [.v6_2, .v6_0, .v5_1]
    var echo: StorvscVersion?
    var subChannels = 0
    var transfer: UInt32 = 256 * 1024
    var operations: [StorvscOperation] = []
    var log: [Logged] = []
    var script: (@Sendable (CommandDescriptorBlock) -> Answer)?
    /// Commands until the host dies; each is carried out or not by chance.
    var lifetime: Int?
    var diesAfterExecuting = false
    var epoch = 0
    var isDead = false
    var notices = 0
    /// Completions of sent commands come twice, mutated, and so on.
    var mutate: (@Sendable ([UInt8]) -> [UInt8])?
    var order: UInt64 = 0
  }

  let state: Mutex<State>

  init(_ disks: [UInt8: ScriptedDisk]) {
    state = Mutex(State(disks: disks))
  }

  func set(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

  func script(_ script: @escaping @Sendable (CommandDescriptorBlock) -> Answer) {
    state.withLock { $0.script = script }
  }

  /// Gives `answers` in turn to commands of this kind, then carries them out.
  func script(_ opcode: Opcode, _ answers: [Answer]) {
    let next = Box(0)
    script { cdb in
      guard cdb.opcode == opcode else { return .execute }
      let index = next.value.withLock { value in
        defer { value += 1 }
        return value
      }
      return index < answers.count ? answers[index] : .execute
    }
  }

  final class Box: Sendable {
    let value: Mutex<Int>
    init(_ value: Int) { self.value = Mutex(value) }
  }

  func count(_ opcode: Opcode) -> Int { state.withLock { $0.log.filter { $0.opcode == opcode }.count } }
  func log() -> [Logged] { state.withLock { $0.log } }
  func data(_ lun: UInt8 = 0) -> [UInt8] { state.withLock { $0.disks[lun]!.data } }
}

/// The host's end of one channel.
final class ScriptedEndpoint: HostEndpoint {
  let host: ScriptedHost
  let channel: Channel
  let index: Int
  let memory: GuestMemory
  let epoch: Int
  let died: () -> Void
  let readinessDescriptor: Int32 = -1
  private(set) var fault: ChannelError?
  private var seen = 0
  var isClosed = false

  init(
    _ host: ScriptedHost, _ channel: Channel, index: Int, memory: GuestMemory, epoch: Int,
    died: @escaping () -> Void
  ) {
    self.host = host
    self.channel = channel
    self.index = index
    self.memory = memory
    self.epoch = epoch
    self.died = died
  }

  struct Incoming {
    var id: UInt64
    var payload: [UInt8]
    var address: UInt64
    var byteCount: Int
  }

  @discardableResult
  func run() -> Bool {
    var worked = false
    while !isClosed, fault == nil {
      let isDead = host.state.withLock { $0.isDead || $0.epoch != epoch }
      if isDead { return worked }
      do throws(ChannelError) {
        let incoming: Incoming? = try channel.receive { descriptor, packet in
          var incoming = Incoming(
            id: descriptor.transactionID,
            payload: packet.array(from: descriptor.payloadOffset, count: descriptor.payloadByteCount), address: 0,
            byteCount: 0)
          if descriptor.type == .gpaDirect {
            incoming.byteCount = Int(packet.le32(at: 24))
            incoming.address = packet.le64(at: 32) * 4096 + UInt64(packet.le32(at: 28))
          }
          return incoming
        }
        if index == 0,
          host.state.withLock({ state in
            defer { state.notices = 0 }
            return state.notices > 0
          })
        {
          let notice = [UInt8](zeroed: 64) { StorvscPacket(operation: .enumerateBus).store(into: &$0) }
          _ = try channel.sendInBand(transactionID: 0, requestsCompletion: false, payload: notice.rawSpan)
          worked = true
        }
        guard let incoming else {
          try channel.flush()
          return worked
        }
        worked = true
        try serve(incoming)
      } catch {
        fault = error
      }
    }
    return worked
  }

  private func serve(_ incoming: Incoming) throws(ChannelError) {
    guard let header = try? StorvscPacket(parsing: incoming.payload.rawSpan) else { return }
    var answer = [UInt8](repeating: 0, count: 64)
    if header.operation != .executeSRB {
      host.state.withLock { state in
        state.operations.append(header.operation)
        answer.withMutableBytes { bytes in
          var status = NTStatus.success
          switch header.operation {
          case .queryProtocolVersion:
            let block = try! VersionBlock(parsing: incoming.payload.rawSpan)
            status = state.versions.contains(block.version) ? .success : .revisionMismatch
            VersionBlock(state.echo ?? block.version).store(into: &bytes)
          case .queryProperties:
            ChannelProperties(
              maximumSubChannelCount: UInt16(state.subChannels), maximumTransferByteCount: state.transfer
            ).store(into: &bytes)
          default: break
          }
          StorvscPacket.completion(status).store(into: &bytes)
        }
      }
      _ = try channel.sendCompletion(transactionID: incoming.id, payload: answer.rawSpan)
      return
    }
    let request = try! SCSIRequest(parsing: incoming.payload.rawSpan, version: .v6_2)
    let cdb = request.command!
    let script = host.state.withLock { $0.script }
    var choice = script?(cdb) ?? .execute
    let isLast = host.state.withLock { state in
      guard let lifetime = state.lifetime else { return false }
      state.lifetime = lifetime - 1
      return lifetime <= 1
    }
    if isLast {
      let executes = host.state.withLock { state in
        state.isDead = true
        return state.diesAfterExecuting
      }
      if executes { _ = host.execute(request, cdb, incoming, memory, index) }
      try channel.flush()
      died()
      return
    }
    if incoming.byteCount != Int(request.dataTransferByteCount) { choice = .srb(.invalidRequest) }
    var id = incoming.id
    switch choice {
    case .execute, .executeTelling:
      var (status, completion) = host.execute(request, cdb, incoming, memory, index)
      if case .executeTelling(let count) = choice { completion.dataTransferByteCount = UInt32(count) }
      answer.withMutableBytes { bytes in
        StorvscPacket.completion(status).store(into: &bytes)
        completion.store(into: &bytes, version: .v6_2)
      }
    case .reply(let status, let completion):
      host.note(cdb, index)
      answer.withMutableBytes { bytes in
        StorvscPacket.completion(status).store(into: &bytes)
        completion.store(into: &bytes, version: .v6_2)
      }
    case .silence:
      host.note(cdb, index)
      return
    case .raw(let bytes, let other):
      host.note(cdb, index)
      answer = bytes
      id = other ?? id
    }
    if let mutate = host.state.withLock({ $0.mutate }) { answer = mutate(answer) }
    while try !channel.sendCompletion(transactionID: id, payload: answer.rawSpan) { try channel.flush() }
  }

  func close() { isClosed = true }
}

extension ScriptedHost {
  func note(_ cdb: CommandDescriptorBlock, _ channel: Int) {
    let forced = cdb.opcode == .write16 && cdb[1] & 8 != 0
    state.withLock {
      $0.log.append(Logged(opcode: cdb.opcode, lba: cdb.be64(at: 2), channel: channel, isForced: forced))
    }
  }

  /// Carries a command out.
  func execute(
    _ request: SCSIRequest, _ cdb: CommandDescriptorBlock, _ incoming: ScriptedEndpoint.Incoming, _ memory: GuestMemory,
    _ channel: Int
  ) -> (NTStatus, SCSIRequest) {
    note(cdb, channel)
    let buffer = incoming.byteCount > 0 ? memory.slice(at: incoming.address, byteCount: incoming.byteCount) : nil
    return state.withLock { state -> (NTStatus, SCSIRequest) in
      func bad(_ sense: SenseData) -> (NTStatus, SCSIRequest) { (.ioDeviceError, .checkCondition(sense)) }
      func good(_ count: Int = 0) -> (NTStatus, SCSIRequest) { (.success, .success(dataByteCount: UInt32(count))) }
      func give(_ bytes: [UInt8]) -> (NTStatus, SCSIRequest) {
        let part = Array(bytes.prefix(incoming.byteCount))
        buffer?.copyIn(part.rawSpan)
        return good(part.count)
      }
      let command: Command
      do throws(CommandError) { command = try Command(parsing: cdb) } catch { return bad(error.senseData) }
      if case .reportLUNs = command {
        let luns = request.targetID == 0 ? state.disks.keys.sorted() : []
        let list = LUNList(luns.map(UInt16.init))
        return give([UInt8](zeroed: list.byteCount) { list.encode(into: &$0) })
      }
      guard request.targetID == 0, var disk = state.disks[request.lun] else {
        return (.deviceDoesNotExist, .completion(.invalidLUN, .checkCondition))
      }
      defer { state.disks[request.lun] = disk }
      let blocks = UInt64(disk.capacityBytes / disk.sector)
      func range(_ lba: UInt64, _ count: UInt32) -> Range<Int>? {
        guard BlockExtent(lba: lba, blocks: count).fits(blockCount: blocks) else { return nil }
        return Int(lba) * disk.sector..<(Int(lba) + Int(count)) * disk.sector
      }
      switch command {
      case .inquiry(let page, _):
        guard let page else {
          let inquiry = StandardInquiry(peripheralQualifier: disk.qualifier)
          return give([UInt8](zeroed: 104) { inquiry.encode(into: &$0) })
        }
        switch page {
        case .supportedPages:
          let pages = SupportedVPDPages([
            .supportedPages, .unitSerialNumber, .deviceIdentification, .blockLimits,
            .blockDeviceCharacteristics, .logicalBlockProvisioning,
          ])
          return give([UInt8](zeroed: pages.byteCount) { pages.encode(into: &$0) })
        case .unitSerialNumber:
          let serial = UnitSerialNumber("SER\(request.lun)")
          return give([UInt8](zeroed: serial.byteCount) { serial.encode(into: &$0) })
        case .deviceIdentification:
          let page = DeviceIdentification(identifier: disk.id)
          return give([UInt8](zeroed: page.byteCount) { page.encode(into: &$0) })
        case .blockLimits:
          var limits = BlockLimits()
          limits.maximumUnmapBlocks = disk.hasUnmap ? 1024 : 0
          limits.maximumUnmapDescriptors = 1
          limits.maximumWriteSameLength = disk.writeSameBlocks
          return give([UInt8](zeroed: 64) { limits.encode(into: &$0) })
        case .blockDeviceCharacteristics:
          return give([UInt8](zeroed: 64) { BlockDeviceCharacteristics().encode(into: &$0) })
        default:
          let page = LogicalBlockProvisioning(supportsUnmap: disk.hasUnmap, readsZeros: disk.hasUnmap ? 1 : 0)
          return give([UInt8](zeroed: 8) { page.encode(into: &$0) })
        }
      case .readCapacity16:
        let capacity = Capacity(blockCount: blocks, blockByteCount: UInt32(disk.sector))!
        return give([UInt8](zeroed: 32) { capacity.encode16(into: &$0) })
      case .readCapacity10:
        let capacity = Capacity(blockCount: blocks, blockByteCount: UInt32(disk.sector))!
        return give([UInt8](zeroed: 8) { capacity.encode10(into: &$0) })
      case .modeSense:
        let mode = ModeParameters(
          isWriteProtected: false, supportsFUA: disk.hasFUA, caching: .init(writeCacheEnabled: disk.hasWriteCache))
        return give([UInt8](zeroed: mode.byteCount(ten: false)) { mode.encode(into: &$0, ten: false) })
      case .testUnitReady, .synchronizeCache, .release6: return good()
      case .reserve6:
        return disk.isReserved ? (.ioDeviceError, .completion(.error, .reservationConflict)) : good()
      case .read(let lba, let count, _, _):
        guard let range = range(lba, count), range.count == incoming.byteCount else { return bad(.lbaOutOfRange) }
        buffer!.copyIn(Array(disk.data[range]).rawSpan)
        return good(range.count)
      case .write(let lba, let count, _, _):
        guard let range = range(lba, count), range.count == incoming.byteCount else { return bad(.lbaOutOfRange) }
        disk.data.replaceSubrange(range, with: buffer!.bytes())
        return good(range.count)
      case .writeSame(let lba, let count, _, _, _, _):
        guard disk.writeSameBlocks > 0 else { return bad(.invalidOpcode) }
        guard let range = range(lba, count), incoming.byteCount == disk.sector else { return bad(.lbaOutOfRange) }
        let block = buffer!.bytes()
        for start in stride(from: range.lowerBound, to: range.upperBound, by: disk.sector) {
          disk.data.replaceSubrange(start..<(start + disk.sector), with: block)
        }
        return good(disk.sector)
      case .unmap:
        guard disk.hasUnmap else { return bad(.invalidOpcode) }
        let bytes = buffer!.bytes()
        guard let list = try? UnmapList(parsing: bytes.rawSpan) else { return bad(.invalidFieldInParameterList) }
        for index in 0..<list.count {
          guard let range = range(list[index].lba, list[index].blocks) else { return bad(.lbaOutOfRange) }
          for byte in range { disk.data[byte] = 0 }
        }
        return good()
      case .getLBAStatus(let lba, _):
        let list = LBAStatusList([.init(BlockExtent(lba: lba, blocks: 4), .deallocated)])
        return give([UInt8](zeroed: list.byteCount) { list.encode(into: &$0) })
      default: return bad(.invalidOpcode)
      }
    }
  }
}
