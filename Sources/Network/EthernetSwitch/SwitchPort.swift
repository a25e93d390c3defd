public import Ethernet
import LinuxIO
import Synchronization

/// One port of an `EthernetSwitch`, for one station or a cable that leads to many. It is removed from the switch when it
/// is closed, or when it and its queues are released.
public final class SwitchPort: EthernetPort {
  /// The address of the station, as it was given.
  public let address: MACAddress

  let id: MemberID
  private let ethernetSwitch: EthernetSwitch
  private let mtu: Int
  private let closed = Atomic<Bool>(false)
  private let queueCount = Mutex(0)

  var fabric: SwitchFabric { ethernetSwitch.fabric }
  var isClosed: Bool { closed.load(ordering: .relaxed) }

  init(_ ethernetSwitch: EthernetSwitch, id: MemberID, address: MACAddress, mtu: Int) {
    self.ethernetSwitch = ethernetSwitch
    self.id = id
    self.address = address
    self.mtu = mtu
  }

  deinit { close() }

  /// Removes the port from the switch. Its queues end; their owners close them.
  public func close() {
    guard !closed.exchange(true, ordering: .relaxed) else { return }
    let inboxes = fabric.portState(id)?.inboxes ?? []
    fabric.removePort(id)
    // Their owners look, and see that the queues have ended.
    for inbox in inboxes { inbox.signal.wake() }
    ethernetSwitch.offloadsChanged()
    ethernetSwitch.steeringChanged()
  }

  /// Address and MTU as they were given; carrier and speed of the uplink, as far as it is a port.
  public var info: EthernetPortInfo {
    let uplink = ethernetSwitch.uplinkInfo
    return EthernetPortInfo(
      address: address, mtu: mtu, hasCarrier: !isClosed && uplink.hasCarrier, bitsPerSecond: uplink.bitsPerSecond)
  }

  /// As the options of the switch say; how many of them have a queue of the uplink is another matter.
  public var maximumQueueCount: Int { max(1, fabric.options.maximumQueueCount) }

  /// A new queue. It owns a queue of the uplink if there is one left, else others serve it.
  public func makeQueue() throws(EthernetError) -> any EthernetQueue {
    if isClosed { throw .lost }
    let isFree = queueCount.withLock { count in
      guard count < maximumQueueCount else { return false }
      count += 1
      return true
    }
    guard isFree else { throw .busy }
    let uplinkQueue = ethernetSwitch.makeUplinkQueue()
    do throws(Errno) {
      return try SwitchQueue(self, uplinkQueue: uplinkQueue)
    } catch {
      uplinkQueue?.close()
      queueHasEnded()
      throw .system(what: "queue of a switch port", error)
    }
  }

  func queueHasEnded() {
    queueCount.withLock { $0 -= 1 }
  }

  /// What the station wants to get. While nobody has said it, everything passes.
  public func setFilter(_ filter: EthernetFilter) {
    fabric.changePort(id) { $0.filter = filter }
  }

  /// Told to the uplink: it may hand out what any of the ports can take.
  public func setOffloads(_ offloads: OffloadSet) {
    fabric.changePort(id) { $0.offloads = offloads }
    ethernetSwitch.offloadsChanged()
  }

  /// Which queue gets a frame that comes through an inbox; by default all frames of a flow go to the same one. A frame
  /// that the uplink's own queue brings stays with the queue that owns it: as long as the switch has one port, the uplink
  /// is told to choose in this way. `choose` must not hold the port.
  public func setSteering(_ choose: (@Sendable (_ headers: RawSpan) -> Int)?) {
    fabric.changePort(id) { $0.choose = choose }
    ethernetSwitch.steeringChanged()
  }

  /// Has `body` called when the uplink changes, which may be its carrier or its speed.
  public func observe(_ body: @escaping @Sendable () -> Void) {
    fabric.changePort(id) { $0.observer = body }
  }
}
