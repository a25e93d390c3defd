import LinuxIO

/// Joins two queues: moves frames both ways on one thread, and sleeps when there is nothing to move.
///
/// Each round moves a batch in either direction. After a round that moved nothing the thread looks again for a while, if
/// that has lately paid, and then sleeps until one of the queues is ready. A side whose frames have nowhere to go is not
/// listened to.
public struct Cable: ~Copyable {
  private let first: any EthernetQueue
  private let second: any EthernetQueue
  private let control: CableControl
  private let batchLimit: Int
  private var governor: SpinGovernor
  private var sleeping = PollSet(capacity: 3)
  /// Whether the last round found no room in the first, the second queue.
  private var firstIsFull = false
  private var secondIsFull = false
  /// Sleeps in a row that were short and led to nothing.
  private var fruitlessSleeps = 0

  /// While a sink is full its owner looks at least so often whether a queue has ended, in milliseconds.
  static let blockedMilliseconds: Int32 = 1000
  /// So many fruitless sleeps are taken for a descriptor that stays ready. Both sinks being full can lead to that.
  private static let fruitlessLimit = 16
  /// A sleep that took longer was none of those.
  private static let shortNanoseconds: UInt64 = 200_000

  /// A cable between two queues, which stay the caller's: it closes them after `run`.
  ///
  /// - Parameter control: counts, and ends the cable from other threads; each cable has its own.
  public init(
    _ first: any EthernetQueue, _ second: any EthernetQueue, control: CableControl,
    options: CableOptions = CableOptions()
  ) {
    self.first = first
    self.second = second
    self.control = control
    batchLimit = max(1, options.batchLimit)
    governor = SpinGovernor(limitNanoseconds: options.spinNanoseconds)
  }

  /// Moves frames until the control says stop, or a queue has ended.
  public mutating func run() -> CableEnd {
    while true {
      if control.isStopping { return .stopped }
      if first.isEnded { return .firstEnded }
      if second.isEnded { return .secondEnded }
      if round() > 0 {
        fruitlessSleeps = 0
      } else if !spin() {
        sleep()
      }
    }
  }

  /// Moves one batch each way and answers how many frames that were.
  private mutating func round() -> Int {
    let counters = control.counters
    let there = first.forward(to: second, limit: batchLimit)
    second.flush()
    let back = second.forward(to: first, limit: batchLimit)
    first.flush()
    secondIsFull = there.isBlocked
    firstIsFull = back.isBlocked
    if there.frameCount > 0 { counters.framesToSecond.add(UInt64(there.frameCount)) }
    if back.frameCount > 0 {
      counters.framesToFirst.add(UInt64(back.frameCount))
      // What the second queue has to tell its peer about the frames that it gave away.
      second.flush()
    }
    return there.frameCount + back.frameCount
  }

  /// Looks again for a while; true when there was something.
  private mutating func spin() -> Bool {
    guard governor.wantsSpin() else { return false }
    control.counters.spins.add(1)
    let end = monotonicNanoseconds() + governor.limitNanoseconds
    repeat {
      if round() > 0 {
        fruitlessSleeps = 0
        control.counters.spinsThatPaid.add(1)
        governor.record(paid: true)
        return true
      }
    } while !control.isStopping && monotonicNanoseconds() < end
    governor.record(paid: false)
    return false
  }

  private mutating func sleep() {
    let counters = control.counters
    if secondIsFull { counters.timesSecondWasFull.add(1) }
    if firstIsFull { counters.timesFirstWasFull.add(1) }
    sleeping.removeAll()
    sleeping.append(control.stopDescriptor)
    let start = monotonicNanoseconds()
    if fruitlessSleeps >= Cable.fruitlessLimit {
      counters.pauses.add(1)
      _ = sleeping.wait(milliseconds: 1)
      fruitlessSleeps = 0
      return
    }
    var isReady = false
    if firstIsFull || !secondIsFull {
      isReady = first.prepareToWait(forRoom: firstIsFull)
      sleeping.append(first.readinessDescriptor)
    }
    if !isReady, secondIsFull || !firstIsFull {
      isReady = second.prepareToWait(forRoom: secondIsFull)
      sleeping.append(second.readinessDescriptor)
    }
    if !isReady {
      counters.sleeps.add(1)
      _ = sleeping.wait(milliseconds: firstIsFull || secondIsFull ? Cable.blockedMilliseconds : -1)
    }
    let isShort = monotonicNanoseconds() - start < Cable.shortNanoseconds
    fruitlessSleeps = isShort ? fruitlessSleeps + 1 : 0
  }
}

/// Why a cable moves nothing any more.
public enum CableEnd: Hashable, Sendable {
  /// It was told to stop.
  case stopped
  /// The device behind the first queue is gone.
  case firstEnded
  /// The device behind the second queue is gone.
  case secondEnded
}

/// How a cable works.
public struct CableOptions: Hashable, Sendable {
  /// The most frames that go one way before the other way gets its turn.
  public var batchLimit: Int
  /// How long it looks for frames before it sleeps, in nanoseconds; 0: not at all.
  public var spinNanoseconds: UInt64

  /// Options as given.
  public init(batchLimit: Int = 64, spinNanoseconds: UInt64 = 20_000) {
    self.batchLimit = batchLimit
    self.spinNanoseconds = spinNanoseconds
  }
}
