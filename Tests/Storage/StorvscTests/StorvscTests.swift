import Block
import LinuxIO
import SCSI
import SharedMemory
@testable import Storvsc
import StorvscProtocol
import Testing
import VMBusChannel
import VMBusProtocol
import WireBytes

@Suite struct InitializationTests {
  @Test(arguments: Threading.allCases) func findsDisks(_ threading: Threading) throws {
    var second = ScriptedDisk(byteCount: 1 << 20, sector: 4096)
    second.id.low = 7
    let rig = try Rig(ScriptedHost([0: ScriptedDisk(byteCount: 1 << 20), 3: second]), threading)
    #expect(rig.controller.disks.map(\.lun) == [0, 3])
    #expect(rig.controller.protocolVersion == "6.2")
    let info = rig.disk.info
    #expect(info.byteCount == 1 << 20 && info.sectorByteCount == 512 && info.requestAlignment == 1)
    #expect(info.serial == "SER0" && info.supportsDiscard && info.discardReadsZero && !info.isReadOnly)
    #expect(info.identity == DiskIdentity(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210))
    #expect(info.maximumTransferByteCount == 256 * 1024)
    #expect(rig.disk.vendor == "Msft" && rig.disk.product == "Virtual Disk")
    #expect(rig.controller.disks[1].info.sectorByteCount == 4096)
  }

  @Test(arguments: [StorvscVersion.v6_0, .v5_1]) func downgrades(_ version: StorvscVersion) throws {
    let host = ScriptedHost([0: ScriptedDisk(byteCount: 1 << 16)])
    host.set { $0.versions = [version] }
    let rig = try Rig(host)
    #expect(rig.controller.protocolVersion == version.description)
    let owner = try Owner(rig.disk)
    #expect(owner.run(.flush) == nil)
    owner.queue.close()
  }

  @Test func sequenceIsThatOfTheProtocol() throws {
    let host = ScriptedHost([:])
    host.set { $0.subChannels = 8 }
    let rig = try Rig(host) { $0.subChannelCount = 2 }
    #expect(rig.controller.channelCount == 3)
    #expect(
      host.state.withLock { $0.operations } == [
        .beginInitialization, .queryProtocolVersion, .queryProperties, .endInitialization, .createSubChannels,
      ])
  }

  @Test func refusesBadHosts() throws {
    let none = ScriptedHost([:])
    none.set { $0.versions = [] }
    #expect(throws: ChannelError.self) { try Rig(none) }
    let liar = ScriptedHost([:])
    liar.set { $0.echo = .v2_0 }
    #expect(throws: ChannelError.self) { try Rig(liar) }
    let tiny = ScriptedHost([:])
    tiny.set { $0.transfer = 4095 }
    #expect(throws: ChannelError.self) { try Rig(tiny) }
    let silent = ScriptedHost([0: ScriptedDisk(byteCount: 1 << 16)])
    silent.script { _ in .silence }
    #expect(throws: ChannelError.self) { try Rig(silent) { $0.stepMilliseconds = 60 } }
  }

  @Test func absentUnitsInEveryForm() throws {
    let host = ScriptedHost([0: ScriptedDisk(byteCount: 1 << 16), 1: ScriptedDisk(byteCount: 1 << 16)])
    host.set { $0.disks[1]!.qualifier = 3 }
    let rig = try Rig(host)
    #expect(rig.controller.disks.map(\.lun) == [0])
    host.script(.inquiry, [.srb(.noDevice)])
    #expect(try rig.controller.rescan() && rig.controller.disks.isEmpty)
  }

  @Test func waitsForUnitAttentionsAndStartUp() throws {
    let host = ScriptedHost([0: ScriptedDisk(byteCount: 1 << 16)])
    host.script(
      .inquiry, [.sense(.powerOnOrReset), .sense(.powerOnOrReset), .sense(.becomingReady), .srb(.busy, .busy)])
    let rig = try Rig(host)
    #expect(rig.controller.disks.count == 1)
  }

  @Test(arguments: Threading.allCases) func rescanFindsAndLoses(_ threading: Threading) throws {
    let host = ScriptedHost([0: ScriptedDisk(byteCount: 1 << 16)])
    // The queue gets the sub-channel, the control thread keeps the primary one.
    host.set { $0.subChannels = 1 }
    let rig = try Rig(host, threading)
    var other = ScriptedDisk(byteCount: 1 << 16)
    other.id.low = 1
    rig.host.set { $0.disks[5] = other }
    rig.device.notice()
    for _ in 0..<50 where !rig.events.contains("busChanged") {
      rig.controller.poll()
      _ = try Epoll().wait(milliseconds: 5)
    }
    #expect(rig.events.contains("busChanged"))
    #expect(try rig.controller.rescan())
    #expect(rig.controller.disks.map(\.lun) == [0, 5])
    let old = rig.disk
    let owner = try Owner(old)
    rig.host.set { $0.disks[0]!.id.high = 99 }
    // Another disk at the same place is another disk.
    #expect(try rig.controller.rescan())
    #expect(old.isGone && rig.controller.disks.map(\.lun) == [0, 5])
    #expect(owner.run(.flush) == .gone)
    owner.queue.close()
  }

  @Test func claims() throws {
    let rig = try Rig()
    try rig.disk.claim()
    #expect(rig.disk.isClaimed)
    try rig.disk.release()
    rig.host.set { $0.disks[0]!.isReserved = true }
    #expect(throws: BlockError.reserved) { try rig.disk.claim() }
  }

  @Test func channelsAreExclusive() throws {
    let rig = try Rig()
    let owner = try Owner(rig.disk)
    #expect(throws: BlockError.busy) { try rig.disk.makeQueue(depth: 1) }
    #expect(rig.disk.maximumQueueCount == 1)
    owner.queue.close()
    let again = try Owner(rig.disk)
    #expect(again.run(.flush) == nil)
    again.queue.close()
    // The primary channel is back with the control thread.
    #expect(try rig.controller.rescan() == false)
  }

  @Test func controlCommandsTravelThroughTheQueue() throws {
    let rig = try Rig(ScriptedHost([0: ScriptedDisk(byteCount: 1 << 16)]), .threaded)
    let stop = ScriptedDevice.StopFlag()
    let disk = rig.disk
    let thread = try WorkerThread(name: "owner") {
      let owner = try! Owner(disk)
      while !stop.value.load(ordering: .acquiring) { _ = owner.wait(1, milliseconds: 20) }
      owner.queue.close()
    }
    while rig.controller.ports[0].state.withLock({ !$0.isClaimed }) {}
    #expect(try rig.controller.rescan() == false)
    try disk.claim()
    stop.value.store(true, ordering: .releasing)
    thread.join()
  }
}

@Suite struct VerdictTests {
  static func verdict(_ srb: SRBStatus, _ scsi: SCSIStatus, _ sense: SenseData? = nil, moved: Int = 512)
    -> CompletionVerdict
  {
    let request = SCSIRequest.completion(srb, scsi, dataByteCount: UInt32(moved), sense: sense)
    return CompletionVerdict(srb.headerStatus, request, expectedByteCount: 512)
  }

  @Test func everyRow() {
    func sense(_ sense: SenseData) -> CompletionVerdict { Self.verdict(.error, .checkCondition, sense) }
    #expect(Self.verdict(.success, .good) == .done)
    #expect(Self.verdict(.success, .good, moved: 511) == .wrongLength)
    #expect(Self.verdict(.success, .good, moved: 513) == .wrongLength)
    #expect(sense(.none) == .done && sense(SenseData(.recoveredError, 0x17, 0)) == .done)
    for srb in [SRBStatus.invalidLUN, .invalidTargetID, .noDevice] {
      #expect(Self.verdict(srb, .checkCondition) == .gone)
    }
    for status in [SCSIStatus.busy, .taskSetFull] { #expect(Self.verdict(.error, status) == .busy) }
    #expect(Self.verdict(.busy, .good) == .busy)
    #expect(Self.verdict(.error, .reservationConflict) == .failed(.reserved))
    #expect(Self.verdict(.error, .taskAborted) == .again)
    for srb in [SRBStatus.aborted, .busReset, .requestFlushed, .timeout, .commandTimeout, .selectionTimeout] {
      #expect(Self.verdict(srb, .good) == .again)
    }
    for attention in [SenseData.powerOnOrReset, .mediumChanged, .modeParametersChanged, .capacityChanged] {
      #expect(sense(attention) == .unitAttention(attention))
    }
    #expect(sense(.becomingReady) == .becomingReady && sense(.asymmetricAccessTransition) == .becomingReady)
    #expect(sense(.noMedium) == .failed(.gone))
    #expect(sense(.aborted) == .again)
    #expect(sense(SenseData(.abortedCommand, 0x10, 1)) == .failed(.medium))
    #expect(sense(.guardCheckFailed) == .failed(.medium))
    #expect(sense(.unrecoveredReadError) == .medium && sense(.writeFault) == .medium)
    #expect(sense(.internalTargetFailure) == .hardware)
    #expect(sense(.invalidOpcode) == .unsupported && sense(.invalidFieldInCDB) == .unsupported)
    #expect(sense(.lbaOutOfRange) == .outOfRange)
    #expect(sense(.writeProtected) == .readOnly)
    #expect(sense(.spaceAllocationFailed) == .failed(.noSpace))
    for srb in [SRBStatus.invalidRequest, .badSRBBlockLength, .badFunction] {
      #expect(Self.verdict(srb, .good) == .failed(.failed))
    }
    #expect(Self.verdict(.dataOverrun, .good) == .wrongLength)
    #expect(Self.verdict(.internalError, .good) == .again)
  }
}
