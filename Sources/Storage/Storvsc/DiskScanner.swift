import Block
import LinuxIO
import SCSI
import VMBusChannel
import WireBytes

/// Finds out which disks a controller has, and what they are.
struct DiskScanner {
  let controller: StorvscController
  /// The most bytes of a transfer.
  let transfer: Int

  struct Found: Sendable {
    var target: UInt8
    var lun: UInt8
    var profile: DiskProfile
  }

  /// The end of a command: its data, or why it failed.
  struct Outcome {
    var data: [UInt8] = []
    var error: BlockError?
  }

  /// Targets that hosts use (Linux: STORVSC_MAX_TARGETS).
  private static let targetCount: UInt8 = 2
  private static let inquiryByteCount = 36
  private static let pageByteCount = 255

  /// The disks at all addresses.
  func scan() throws(ChannelError) -> [Found] {
    var found: [Found] = []
    for target in 0..<Self.targetCount {
      for lun in try luns(of: target) {
        if let profile = try probe(target, lun) {
          found.append(Found(target: target, lun: lun, profile: profile))
        }
      }
    }
    return found
  }

  private func luns(of target: UInt8) throws(ChannelError) -> [UInt8] {
    let allocation = StorvscController.controlByteCount
    let outcome = try command(
      .reportLUNs(allocation: UInt32(allocation)), target: target, lun: 0, byteCount: allocation)
    guard outcome.error == nil, let list = try? LUNList(parsing: outcome.data.rawSpan) else {
      // Some hosts know no REPORT LUNS where there is nothing; unit 0 of target 0 is asked for anyhow.
      return target == 0 ? [0] : []
    }
    var luns: [UInt8] = []
    for lun in list.luns where lun < 256 && !luns.contains(UInt8(lun)) { luns.append(UInt8(lun)) }
    return luns.sorted()
  }

  /// What is at an address; nil for no disk, or one that can't be used.
  private func probe(_ target: UInt8, _ lun: UInt8) throws(ChannelError) -> DiskProfile? {
    let standard = try command(
      .inquiry(allocation: UInt16(Self.inquiryByteCount)), target: target, lun: lun, byteCount: Self.inquiryByteCount)
    guard standard.error == nil, let inquiry = try? StandardInquiry(parsing: standard.data.rawSpan), inquiry.isPresent,
      inquiry.deviceType == 0
    else { return nil }
    // A page that fails counts as absent: hosts refuse legitimate ones.
    func page<T>(_ code: VPDPage, _ parse: (RawSpan) -> T?) throws(ChannelError) -> T? {
      let outcome = try command(
        .inquiry(page: code, allocation: UInt16(Self.pageByteCount)), target: target, lun: lun,
        byteCount: Self.pageByteCount)
      return outcome.error == nil ? parse(outcome.data.rawSpan) : nil
    }
    let supported = try page(.supportedPages) { try? SupportedVPDPages(parsing: $0) }?.pages ?? []
    func listed<T>(_ code: VPDPage, _ parse: (RawSpan) -> T?) throws(ChannelError) -> T? {
      supported.contains(code) ? try page(code, parse) : nil
    }
    let serial = try listed(.unitSerialNumber) { try? UnitSerialNumber(parsing: $0) }
    let identification = try listed(.deviceIdentification) { try? DeviceIdentification(parsing: $0) }
    let limits = try listed(.blockLimits) { try? BlockLimits(parsing: $0) }
    let characteristics = try listed(.blockDeviceCharacteristics) { try? BlockDeviceCharacteristics(parsing: $0) }
    let provisioning = try listed(.logicalBlockProvisioning) { try? LogicalBlockProvisioning(parsing: $0) }
    guard let capacity = try capacity(target, lun) else { return nil }
    let sense = try command(.modeSense6(page: .caching), target: target, lun: lun, byteCount: 255)
    let mode = sense.error == nil ? try? ModeParameters(parsingSense: sense.data.rawSpan, ten: false) : nil
    // Takes the conditions that are pending, so that the first request of a queue is not spent on them.
    _ = try command(.testUnitReady, target: target, lun: lun, byteCount: 0)
    return DiskProfile(
      inquiry: inquiry, capacity: capacity, identification: identification, serial: serial, limits: limits,
      characteristics: characteristics, provisioning: provisioning, mode: mode, maximumTransferByteCount: transfer)
  }

  private func capacity(_ target: UInt8, _ lun: UInt8) throws(ChannelError) -> Capacity? {
    let long = try command(
      .readCapacity16(), target: target, lun: lun, byteCount: Capacity.byteCount16)
    if long.error == nil, let capacity = try? Capacity(parsing16: long.data.rawSpan) { return capacity }
    let short = try command(.readCapacity10, target: target, lun: lun, byteCount: Capacity.byteCount10)
    guard short.error == nil, let capacity = try? Capacity(parsing10: short.data.rawSpan), !capacity.isSaturated else {
      return nil
    }
    return capacity
  }

  /// Carries a command out, and repeats it while the disk reports changes or can't take it.
  func command(
    _ cdb: CommandDescriptorBlock, target: UInt8, lun: UInt8, byteCount: Int
  ) throws(ChannelError) -> Outcome {
    let deadline = monotonicNanoseconds() + UInt64(min(controller.options.busyMilliseconds, 30_000)) * 1_000_000
    var attentions = 0
    var attempts = 0
    var pause: Int32 = 10
    while true {
      let (reply, data) = try controller.execute(cdb, target: target, lun: lun, byteCount: byteCount)
      switch CompletionVerdict(reply.status, reply.request, expectedByteCount: nil) {
      case .done: return Outcome(data: data)
      case .gone: return Outcome(error: .gone)
      case .unitAttention(let sense):
        attentions += 1
        if attentions > 16 { return Outcome(error: .failed) }
        if sense == .capacityChanged, byteCount == 0 { controller.noteBusChanged() }
      case .again, .hardware, .wrongLength:
        attempts += 1
        if attempts > 5 { return Outcome(error: .failed) }
      case .busy, .becomingReady:
        if monotonicNanoseconds() >= deadline { return Outcome(error: .timedOut) }
        sleep(milliseconds: pause)
        pause = min(1_000, pause * 2)
      case .medium: return Outcome(error: .medium)
      case .unsupported: return Outcome(error: .notSupported)
      case .outOfRange: return Outcome(error: .outOfRange)
      case .readOnly: return Outcome(error: .readOnly)
      case .failed(let error): return Outcome(error: error)
      }
    }
  }

  private func sleep(milliseconds: Int32) {
    _ = try? Epoll().wait(milliseconds: milliseconds)
  }
}
