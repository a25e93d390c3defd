public import Ethernet
import LinuxIO
import NetvscProtocol
import Synchronization
public import VMBusChannel
public import VMBusProtocol

/// The guest's driver of a synthetic NIC of the bus (a virtualization service consumer, netvsc): an Ethernet port.
///
/// The adapter is control plane: its calls may wait and may come from any thread but those that own a queue, except
/// `setFilter` and `setOffloads`, which never wait. Each channel is one queue. The primary channel also carries the
/// requests of the control plane: whoever owns its queue sends them and takes the replies.
///
/// When the host is gone the queues end. Their owners close them; `reopen` goes on over the device that the bus offers
/// then, and new queues can be made.
public final class NetvscAdapter: EthernetPort {
  struct State {
    var device: any GuestDevice
    var options: NetvscOptions
    var memory: NetvscMemory
    var control: ControlLink
    var nic = OpenNIC()
    var isOpen = false
    var counters: [NetvscQueueCounters] = []
    var filter: EthernetFilter?
    var isCoalescingWanted = true
    /// The address that was set at run time, and must be set again after a restart of the host.
    var address: MACAddress?
  }

  let link = LinkState()
  let state: Monitor<State>
  private let isWorking = Monitor(false)

  /// Opens the device, brings the NIC up, and lets frames to its address, to all groups and to all pass.
  ///
  /// - Throws: what the opening of the device throws; `.refused`, `.protocolFault`, `.timedOut` with the step of the
  ///   bring-up. The device is closed then.
  public init(device: any GuestDevice, options: NetvscOptions = NetvscOptions()) throws(ChannelError) {
    let options = options.clamped
    let memory: NetvscMemory
    do throws(ChannelError) { memory = try NetvscMemory(device, options) } catch {
      // Buffers of its own may have opened the device.
      device.close()
      throw error
    }
    let control = ControlLink(
      link, wake: try NetvscOpening.event(), milliseconds: options.stepMilliseconds)
    state = Monitor(State(device: device, options: options, memory: memory, control: control))
    do throws(ChannelError) {
      try open(device, options)
    } catch {
      memory.free(device)
      throw error
    }
  }

  /// Instance of the device on the bus.
  public var instance: GUID { state.withLock { $0.device }.offer.instance }

  /// The NIC now. It has no carrier while the host is gone.
  public var info: EthernetPortInfo { link.info }

  /// The channels: the primary one and the sub-channels that the host gave. Each gets frames: make all queues.
  public var maximumQueueCount: Int { max(1, state.withLock { $0.nic.ports.count }) }

  /// The negotiated version of the protocol, in words.
  public var protocolVersion: String { state.withLock { $0.nic.session.version }.description }

  /// Whether the host coalesces received TCP segments.
  public var isCoalescing: Bool { state.withLock { $0.nic.session.isCoalescing && $0.isCoalescingWanted } }

  /// What the queues on each channel did since the adapter was made, over restarts of the host.
  public var queueStatistics: [NetvscQueueStatistics] { state.withLock { $0.counters }.map(\.snapshot) }

  /// Whether the host took the device back or is gone, a channel is corrupt, or `close` was called.
  public var isLost: Bool {
    if link.fault != nil { return true }
    let (isOpen, device) = state.withLock { ($0.isOpen, $0.device) }
    return !isOpen || device.isLost
  }

  /// Why the channels are of no use any more, in words; nil while they are.
  public var faultDescription: String? { link.fault?.description }

  /// A queue on a channel that has none.
  ///
  /// - Throws: `.busy`, `.lost`.
  public func makeQueue() throws(EthernetError) -> any EthernetQueue {
    guard !isLost else { throw .lost }
    let (ports, milliseconds) = state.withLock { ($0.nic.ports, $0.options.stepMilliseconds) }
    for port in ports where !port.isClaimed {
      if let handover = port.claim(milliseconds: milliseconds) { return handover.queue }
    }
    throw .busy
  }

  /// Has `body` called after each change of `info`.
  public func observe(_ body: @escaping @Sendable () -> Void) {
    link.observe(body)
  }

  // MARK: Opening

  func open(_ device: any GuestDevice, _ options: NetvscOptions) throws(ChannelError) {
    let control = ControlLink(link, wake: try NetvscOpening.event(), milliseconds: options.stepMilliseconds)
    let (memory, counters, filter) = state.withLock { state in
      while state.counters.count < options.queueCount { state.counters.append(NetvscQueueCounters()) }
      return (state.memory, state.counters, state.filter)
    }
    link.begin()
    var options = options
    options.address = state.withLock { $0.address } ?? options.address
    let bits = filter.map { PacketFilter($0, own: options.address ?? $0.address) } ?? .up
    var opening = NetvscOpening(
      device: device, options: options, memory: memory, link: link, control: control, counters: counters,
      filter: bits)
    let nic = try opening.run()
    state.withLock { state in
      state.device = device
      state.control = control
      state.nic = nic
      state.isOpen = true
    }
  }

  /// Runs `body` while no other control operation runs.
  func exclusively<R: Sendable>(_ body: () throws(ChannelError) -> R) throws(ChannelError) -> R {
    let limit = 4 * state.withLock { $0.options.stepMilliseconds }
    let isMine: Bool? = isWorking.wait(milliseconds: limit) { isTaken -> Bool? in
      if isTaken { return nil }
      isTaken = true
      return true
    }
    guard isMine != nil else { throw .timedOut(what: "another control operation") }
    defer { isWorking.withLock { $0 = false } }
    return try body()
  }
}
