import VMBusProtocol

/// A page list of a guest.
///
/// Whole lists of pages that exist are accepted at once: what a device does with them is its own affair.
struct ServerGPADL: Sendable {
  enum State {
    case inProgress(GPADLAssembler)
    case accepted([GPADLRange])
    /// The guest wants its pages back, which the channel's end still uses.
    case tearingDown
  }

  let relid: UInt32
  let wordCount: Int
  var state: State
}

extension ServerConnection {
  mutating func begin(_ header: GPADLHeader) {
    guard channels[header.relid] != nil else { return drop("GPADL_HEADER for relid \(header.relid)") }
    let wordCount = Int(header.rangeByteCount) / 8
    guard header.gpadl != 0, gpadls[header.gpadl] == nil, gpadls.count < limits.gpadlCount,
      gpadlWordCount + wordCount <= limits.gpadlPageCount, let assembler = try? GPADLAssembler(header: header)
    else {
      return refuse(header.gpadl, relid: header.relid)
    }
    gpadls[header.gpadl] = ServerGPADL(relid: header.relid, wordCount: wordCount, state: .inProgress(assembler))
    gpadlWordCount += wordCount
    acceptIfComplete(assembler)
  }

  mutating func extend(_ body: GPADLBody) {
    guard let gpadl = gpadls[body.gpadl] else { return drop("GPADL_BODY for GPADL \(body.gpadl)") }
    guard case .inProgress(var assembler) = gpadl.state else {
      return drop("GPADL_BODY for GPADL \(body.gpadl), which is complete")
    }
    do throws(GPADLError) {
      // The table's copy goes first, so that the words are not copied for each body.
      gpadls[body.gpadl]?.state = .tearingDown
      try assembler.append(body: body)
    } catch {
      removeGPADL(body.gpadl)
      return refuse(body.gpadl, relid: gpadl.relid)
    }
    gpadls[body.gpadl]?.state = .inProgress(assembler)
    acceptIfComplete(assembler)
  }

  private mutating func acceptIfComplete(_ assembler: GPADLAssembler) {
    guard assembler.isComplete else { return }
    guard let ranges = try? assembler.ranges(), ranges.allSatisfy({ $0.pages.allSatisfy(isMemory(page:)) }) else {
      removeGPADL(assembler.gpadl)
      return refuse(assembler.gpadl, relid: assembler.relid)
    }
    gpadls[assembler.gpadl]?.state = .accepted(ranges)
    send(.gpadlCreated(relid: assembler.relid, gpadl: assembler.gpadl, status: .success))
  }

  private mutating func refuse(_ gpadl: UInt32, relid: UInt32) {
    send(.gpadlCreated(relid: relid, gpadl: gpadl, status: .unspecifiedFailure))
  }

  mutating func tearDown(_ id: UInt32, relid: UInt32) {
    guard let gpadl = gpadls[id], gpadl.relid == relid, case .accepted = gpadl.state else {
      return drop("GPADL_TEARDOWN for GPADL \(id) of relid \(relid)")
    }
    if let channel = channels[relid], channel.hasEnd, channel.ringGPADL == id {
      gpadls[id]?.state = .tearingDown
    } else {
      removeGPADL(id)
      send(.gpadlTorndown(gpadl: id))
    }
  }

  /// Answers the teardowns that waited for the end of the channel.
  mutating func finishTeardowns(of relid: UInt32) {
    for id in gpadls.keys.sorted() {
      guard let gpadl = gpadls[id], gpadl.relid == relid, case .tearingDown = gpadl.state else { continue }
      removeGPADL(id)
      send(.gpadlTorndown(gpadl: id))
    }
  }

  mutating func dropGPADLs(of relid: UInt32) {
    for id in gpadls.keys.sorted() where gpadls[id]?.relid == relid { removeGPADL(id) }
  }

  private mutating func removeGPADL(_ id: UInt32) {
    guard let gpadl = gpadls.removeValue(forKey: id) else { return }
    gpadlWordCount -= gpadl.wordCount
  }
}
