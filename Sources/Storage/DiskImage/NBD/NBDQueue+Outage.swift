import Block
import LinuxIO
import NBDConnection

/// The end of a connection, and what comes after it.
extension NBDQueue {
  /// The connection has ended, or is to end: what it has not answered waits for the next one.
  ///
  /// - Parameter error: what requests end with that have waited too long.
  func lose(_ reason: String, _ error: BlockError = .failed) {
    unwatch()
    // Closes the socket: nothing is written into the memory of requests from here on.
    connection = nil
    sentCount = 0
    for index in commands.indices where commands[index].state == .sent { commands[index].state = .unsent }
    let isLoss = image.durability.lose(last: lastAcknowledged)
    lastAcknowledged = 0
    image.tell("the server is gone (\(reason.isEmpty ? "it has ended the connection" : reason)); waiting for it")
    if isLoss { image.tell("writes may be lost that were not flushed: the next flush fails") }
    let now = monotonicNanoseconds()
    // A server that ends each connection is not to be asked without a pause.
    let isFruitful = hasAnswered || now - connectedAt > Self.fruitfulNanoseconds
    fruitlessCount = isFruitful ? 0 : fruitlessCount + 1
    ticket = image.reconnector.request(event, fruitless: fruitlessCount)
    link = .outage(since: now)
    failOrWait(error)
  }

  /// A connection that has lived that long was not made only to end.
  private static let fruitfulNanoseconds: UInt64 = 5_000_000_000

  /// When requests have waited too long.
  var outageEnd: UInt64 { waitingSince + UInt64(image.outageMilliseconds) * 1_000_000 }

  /// When a server that answers nothing counts as gone.
  var answerEnd: UInt64 { lastAnswer + UInt64(image.answerMilliseconds) * 1_000_000 }

  /// Requests that have waited too long fail; others are looked at again in time.
  private func failOrWait(_ error: BlockError) {
    guard busyCount > 0 else { return }
    if monotonicNanoseconds() >= outageEnd { fail(error) } else { setTimer(at: outageEnd) }
  }

  private func fail(_ error: BlockError) {
    image.tell("requests have waited for \(image.outageMilliseconds / 1000) s: they fail until the server answers")
    link = .failing
    failAll(error)
  }

  func loseIfEnded() {
    if connection?.isAlive == false { lose(NBDProblem.readable(connection?.problem ?? "")) }
  }

  func lookAtTicket() {
    guard let outcome = ticket?.take() else { return }
    switch consume outcome {
    case .waiting: return
    case .connected(let new):
      event.drain()
      ticket = nil
      resume(new)
    case .changed(let how):
      event.drain()
      ticket = nil
      link = .gone
      image.tell("the export has changed: \(how); it can't be used any more")
      failAll(.gone)
    }
  }

  private func resume(_ new: consuming NBDConnection) {
    connection = consume new
    if case .outage(let since) = link {
      image.tell("the server is back after \((monotonicNanoseconds() - since) / 1_000_000) ms")
    } else {
      image.tell("the server is back")
    }
    link = .up
    lastAnswer = monotonicNanoseconds()
    connectedAt = lastAnswer
    hasAnswered = false
    setTimer(at: answerEnd)
    let again = commands.indices.filter { commands[$0].state == .unsent }
      .sorted { commands[$0].number < commands[$1].number }
    for index in again where commands[index].state == .unsent { send(index) }
    watch()
  }

  func timeIsOver() {
    timer.acknowledge()
    timerDue = 0
    switch link {
    case .up:
      guard sentCount > 0 else { return }
      if monotonicNanoseconds() < answerEnd { return setTimer(at: answerEnd) }
      lose("no answer for \(image.answerMilliseconds / 1000) s", .timedOut)
    case .outage: failOrWait(.failed)
    case .failing, .gone: break
    }
  }

  /// Ends all requests. No connection may be there.
  private func failAll(_ error: BlockError) {
    for index in commands.indices where commands[index].state != .free {
      commands[index].state = .free
      commands[index].memory = nil
      freeCommands.append(index)
    }
    waiting.removeAll(keepingCapacity: true)
    for index in slots.indices where slots[index].isBusy { finish(index, error) }
  }
}
