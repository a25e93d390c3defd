import VMBusProtocol

/// A page list of a guest.
///
/// Whole lists of pages that exist are accepted at once: what a device does with them is its own affair.
struct ServerGPADL: Sendable {
  enum State {
    case inProgress(GPADLAssembler)
    case accepted(GPADLKey, [GPADLRange])
    /// The guest wants its pages back, which the channel's end, or a device, may still use.
    case tearingDown(GPADLKey)
  }

  let relid: UInt32
  let wordCount: Int
  var state: State
  /// The list holds the rings of an end that is not closed.
  var holdsRings = false
  /// A device may still have the list mapped.
  var isPublished = false
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
      gpadls[body.gpadl]?.state = .tearingDown(GPADLKey(number: 0))
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
    guard let device = channels[assembler.relid]?.device else { return removeGPADL(assembler.gpadl) }
    let key = GPADLKey(number: nextKey)
    nextKey += 1
    gpadls[assembler.gpadl]?.state = .accepted(key, ranges)
    gpadls[assembler.gpadl]?.isPublished = true
    actions.append(
      .publish(PublishedGPADL(key: key, gpadl: assembler.gpadl, device: device, ranges: ranges)))
    send(.gpadlCreated(relid: assembler.relid, gpadl: assembler.gpadl, status: .success))
  }

  private mutating func refuse(_ gpadl: UInt32, relid: UInt32) {
    send(.gpadlCreated(relid: relid, gpadl: gpadl, status: .unspecifiedFailure))
  }

  mutating func tearDown(_ id: UInt32, relid: UInt32) {
    guard let gpadl = gpadls[id], gpadl.relid == relid, case .accepted(let key, _) = gpadl.state else {
      return drop("GPADL_TEARDOWN for GPADL \(id) of relid \(relid)")
    }
    gpadls[id]?.state = .tearingDown(key)
    if let channel = channels[relid], channel.hasEnd, channel.ringGPADL == id { gpadls[id]?.holdsRings = true }
    actions.append(.withdraw(key))
  }

  /// No device has the list mapped any more, which a `.withdraw` action asked for.
  public mutating func withdrawn(_ key: GPADLKey) -> [ServerAction] {
    for (id, gpadl) in gpadls {
      if case .tearingDown(key) = gpadl.state {
        gpadls[id]?.isPublished = false
        finishTeardown(id)
        break
      }
    }
    return takeActions()
  }

  /// Answers the teardowns that waited for the end of the channel.
  mutating func finishTeardowns(of relid: UInt32) {
    for id in gpadls.keys.sorted() where gpadls[id]?.relid == relid {
      gpadls[id]?.holdsRings = false
      finishTeardown(id)
    }
  }

  private mutating func finishTeardown(_ id: UInt32) {
    guard let gpadl = gpadls[id], case .tearingDown = gpadl.state, !gpadl.holdsRings, !gpadl.isPublished else { return }
    removeGPADL(id)
    send(.gpadlTorndown(gpadl: id))
  }

  mutating func dropGPADLs(of relid: UInt32) {
    for id in gpadls.keys.sorted() where gpadls[id]?.relid == relid { removeGPADL(id) }
  }

  mutating func dropAllGPADLs() {
    for id in gpadls.keys.sorted() { removeGPADL(id) }
  }

  private mutating func removeGPADL(_ id: UInt32) {
    guard let gpadl = gpadls.removeValue(forKey: id) else { return }
    gpadlWordCount -= gpadl.wordCount
    if case .accepted(let key, _) = gpadl.state { actions.append(.withdraw(key)) }
  }
}
