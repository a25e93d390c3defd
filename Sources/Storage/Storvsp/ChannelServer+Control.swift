import Block
import SCSI
import StorvscProtocol
import WireBytes

/// Commands that do not touch the medium. They are rare, and may allocate.
extension ChannelServer {
  mutating func executeControl(
    _ command: Command, _ unit: ChannelUnit, _ buffer: inout GuestBuffer, _ address: ReplyAddress
  ) {
    let data = DiskParameterData(unit.nexus.disk.info, transferByteCount: maximumTransferByteCount)
    switch command {
    case .testUnitReady:
      answer(address, data.capacity == nil ? .checkCondition(.noMedium) : .success(dataByteCount: 0))
    case .requestSense(_, let allocation):
      let sense = unit.nexus.takeAttention()?.sense ?? .none
      deliver(
        [UInt8](zeroed: SenseData.byteCount) { sense.encode(into: &$0) }, allocation: allocation, &buffer, address)
    case .inquiry(let page, let allocation):
      guard let bytes = page.map(data.vitalProductData) ?? data.inquiry else {
        return answer(address, .checkCondition(.invalidFieldInCDB))
      }
      deliver(bytes, allocation: allocation, &buffer, address)
    case .reportLUNs(let select, let allocation):
      reportLUNs(select, allocation, target: unit.nexus.disk.address.target, &buffer, address)
    case .readCapacity10:
      guard let capacity = data.capacity else { return answer(address, .checkCondition(.noMedium)) }
      guard buffer.byteCount >= Capacity.byteCount10 else { return answer(address, .overrun) }
      let bytes = [UInt8](zeroed: Capacity.byteCount10) { capacity.encode10(into: &$0) }
      deliver(bytes, allocation: bytes.count, &buffer, address)
    case .readCapacity16(let allocation):
      guard let capacity = data.capacity else { return answer(address, .checkCondition(.noMedium)) }
      let bytes = [UInt8](zeroed: Capacity.byteCount16) { capacity.encode16(into: &$0) }
      deliver(bytes, allocation: allocation, &buffer, address)
    case .modeSense(let page, let subpage, let control, let allocation, let ten, _):
      guard page == .caching && subpage == 0 || page == .all && (subpage == 0 || subpage == 0xff) else {
        return answer(address, .checkCondition(.invalidFieldInCDB))
      }
      guard control != .saved else { return answer(address, .checkCondition(.savingParametersNotSupported)) }
      deliver(data.mode(control, ten: ten), allocation: allocation, &buffer, address)
    case .modeSelect(let pageFormat, let savePages, let length, let ten):
      guard pageFormat, !savePages else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
      modeSelect(length, ten, data, &buffer, address)
    case .sendDiagnostic(let selfTest, let code, let length):
      // The default self-test is all that there is.
      let isDefault = selfTest && code == 0 && length == 0
      answer(address, isDefault ? .success(dataByteCount: 0) : .checkCondition(.invalidFieldInCDB))
    case .reportSupportedOpcodes(let options, let opcode, let serviceAction, _, let allocation):
      let table = SupportedOpcodes(supportsUnmap: data.info.supportsDiscard)
      guard let bytes = table.report(options: options, opcode, serviceAction) else {
        return answer(address, .checkCondition(.invalidFieldInCDB))
      }
      deliver(bytes, allocation: allocation, &buffer, address)
    case .reserve6, .release6:
      let guestID = unit.nexus.guestID
      let outcome = unit.nexus.disk.change { table in
        command == .reserve6 ? table.reserve(guestID) : table.release(guestID)
      }
      answer(address, outcome.completion(dataByteCount: 0))
    case .persistentReserveIn(let action, let allocation):
      guard let bytes = Self.reservationReport(action, unit.nexus.disk) else {
        return answer(address, .checkCondition(.invalidFieldInCDB))
      }
      deliver(bytes, allocation: allocation, &buffer, address)
    case .persistentReserveOut(let action, let scope, let type, let length):
      persistentReserve(action, scope, type, length, unit, &buffer, address)
    default:
      // PREVENT ALLOW MEDIUM REMOVAL: the medium can't be removed anyway.
      answer(address, .success(dataByteCount: 0))
    }
  }

  /// The answers of an address without a disk. Guests look for disks with two of the commands, and take the failure of
  /// any other as the loss of a disk.
  mutating func executeAbsent(
    _ cdb: CommandDescriptorBlock, _ request: SCSIRequest, _ buffer: inout GuestBuffer, _ address: ReplyAddress
  ) {
    switch cdb.opcode {
    case .inquiry:
      guard case .inquiry(nil, let allocation)? = try? Command(parsing: cdb), request.direction == .read,
        allocation >= StandardInquiry.minimumByteCount, buffer.byteCount >= allocation
      else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
      let inquiry =
        request.lun == 0 ? StandardInquiry(peripheralQualifier: 3, deviceType: 0x1f) : StandardInquiry.absent
      deliver(
        [UInt8](zeroed: StandardInquiry.byteCount) { inquiry.encode(into: &$0) }, allocation: allocation, &buffer,
        address)
    case .reportLUNs:
      guard case .reportLUNs(let select, let allocation)? = try? Command(parsing: cdb),
        request.direction == .read || buffer.byteCount == 0
      else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
      reportLUNs(select, allocation, target: request.pathID == 0 ? request.targetID : nil, &buffer, address)
    default:
      answer(address, .completion(.invalidLUN, .checkCondition))
    }
  }

  private mutating func reportLUNs(
    _ select: UInt8, _ allocation: Int, target: UInt8?, _ buffer: inout GuestBuffer, _ address: ReplyAddress
  ) {
    // Select 1 asks for well-known units, of which there is none.
    let list = LUNList(select == 1 ? [] : target.map(session.controller.luns) ?? [])
    deliver([UInt8](zeroed: list.byteCount) { list.encode(into: &$0) }, allocation: allocation, &buffer, address)
  }

  private mutating func modeSelect(
    _ length: Int, _ ten: Bool, _ data: DiskParameterData, _ buffer: inout GuestBuffer, _ address: ReplyAddress
  ) {
    guard let bytes = parameterList(length, &buffer, address) else { return }
    if length == 0 { return answer(address, .success(dataByteCount: 0)) }
    do throws(ParameterDataError) {
      let wish = try ModeParameters(parsingSelect: bytes.rawSpan, ten: ten)
      // The cache is the device's own: it can't be switched.
      if let caching = wish.caching, caching != data.caching {
        return answer(address, .checkCondition(.invalidFieldInParameterList))
      }
    } catch {
      return answer(address, .checkCondition(error.senseData))
    }
    answer(address, .success(dataByteCount: UInt32(length)))
  }

  private mutating func persistentReserve(
    _ action: PersistentReserveOutAction, _ scope: UInt8, _ type: ReservationType, _ length: Int,
    _ unit: ChannelUnit, _ buffer: inout GuestBuffer, _ address: ReplyAddress
  ) {
    guard length == PersistentReserveOutParameters.byteCount else {
      return answer(address, .checkCondition(.parameterListLengthError))
    }
    guard let bytes = parameterList(length, &buffer, address) else { return }
    let parameters: PersistentReserveOutParameters
    do throws(ParameterDataError) {
      parameters = try PersistentReserveOutParameters(parsing: bytes.rawSpan)
    } catch {
      return answer(address, .checkCondition(error.senseData))
    }
    let guestID = unit.nexus.guestID
    let outcome = unit.nexus.disk.change { table in
      table.perform(action, guestID: guestID, scope: scope, type: type, parameters)
    }
    answer(address, outcome.completion(dataByteCount: UInt32(length)))
  }

  /// What PERSISTENT RESERVE IN returns; nil for READ FULL STATUS, which needs names of initiator ports.
  private static func reservationReport(_ action: PersistentReserveInAction, _ disk: SCSIDisk) -> [UInt8]? {
    disk.reservations { table in
      switch action {
      case .readKeys:
        let list = ReservationKeys(generation: table.generation, keys: table.registrations.map(\.key))
        return [UInt8](zeroed: list.byteCount) { list.encode(into: &$0) }
      case .readReservation:
        let report = ReservationReport(generation: table.generation, reservation: table.report)
        return [UInt8](zeroed: report.byteCount) { report.encode(into: &$0) }
      case .reportCapabilities:
        let capabilities = ReservationCapabilities(
          allTargetPorts: true, persistsThroughPowerLoss: false, types: ReservationType.allKnown)
        return [UInt8](zeroed: ReservationCapabilities.byteCount) { capabilities.encode(into: &$0) }
      case .readFullStatus: return nil
      }
    }
  }
}

extension ReservationTable.Outcome {
  func completion(dataByteCount: UInt32) -> SCSIRequest {
    switch self {
    case .good: .success(dataByteCount: dataByteCount)
    case .conflict: .completion(.error, .reservationConflict)
    case .refused(let sense): .checkCondition(sense)
    }
  }
}
