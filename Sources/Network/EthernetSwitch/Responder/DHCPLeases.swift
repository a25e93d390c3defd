import WireBytes

/// Which client of a network has which address. Bounded; a client gets the address that it had, as long as nobody else
/// needed it.
struct DHCPLeases {
  /// Who a lease belongs to: option 61, or else the hardware address with its type in front.
  typealias Client = [UInt8]

  private struct Lease {
    /// Nil: the address is in use by somebody unknown.
    var client: Client?
    var end: UInt64
    /// Whether the client has taken what it was offered.
    var isBound: Bool
  }

  /// The interface of the server.
  let interface: IPv4Interface
  /// How long a client may keep its address, in seconds.
  let leaseSeconds: UInt32

  private let capacity: Int
  private var leases: [IPv4Address: Lease] = [:]
  private var addresses: [Client: IPv4Address] = [:]

  /// How long an offer stands, and a declined address is left alone.
  private static let offerSeconds: UInt64 = 60
  private static let declinedSeconds: UInt64 = 600

  init(_ interface: IPv4Interface, leaseSeconds: UInt32 = 3600, capacity: Int = 1024) {
    self.interface = interface
    self.leaseSeconds = leaseSeconds
    self.capacity = min(capacity, hostCount(interface))
  }

  /// How many addresses are spoken for, or were.
  var count: Int { leases.count }

  /// An address for `client`, kept for it for a minute: the one that it had, the one that it asks for, one that its
  /// identifier leads to, or the next that is free. Nil when all are taken.
  mutating func offer(_ client: Client, requested: IPv4Address?, now: UInt64) -> IPv4Address? {
    let end = now + DHCPLeases.offerSeconds
    if let address = addresses[client], let lease = leases[address] {
      // An offer does not shorten a lease.
      leases[address]?.end = max(lease.end, end)
      return address
    }
    guard let address = choose(client, requested, now: now) else { return nil }
    put(address, Lease(client: client, end: end, isBound: false))
    return address
  }

  /// Gives `address` to `client`; false when it can't have it.
  mutating func bind(_ client: Client, _ address: IPv4Address, now: UInt64) -> Bool {
    if let own = addresses[client], own != address {
      // It comes back with an address of another time; ours is the right one.
      return false
    }
    guard canTake(address, client, now: now) else { return false }
    put(address, Lease(client: client, end: now + UInt64(leaseSeconds), isBound: true))
    return true
  }

  /// The client gives its address back; it stays its first choice.
  mutating func release(_ client: Client, _ address: IPv4Address, now: UInt64) {
    guard addresses[client] == address else { return }
    leases[address]?.end = now
    leases[address]?.isBound = false
  }

  /// The client took the offer of another server.
  mutating func withdraw(_ client: Client) {
    guard let address = addresses[client], leases[address]?.isBound == false else { return }
    remove(address)
  }

  /// The client found that somebody else uses its address.
  mutating func decline(_ client: Client, _ address: IPv4Address, now: UInt64) {
    guard addresses[client] == address else { return }
    put(address, Lease(client: nil, end: now + DHCPLeases.declinedSeconds, isBound: true))
  }

  private func canTake(_ address: IPv4Address, _ client: Client, now: UInt64) -> Bool {
    guard interface.hasHost(address), address != interface.address else { return false }
    guard let lease = leases[address] else { return leases.count < capacity || hasExpired(now: now) }
    return lease.client == client || lease.end <= now
  }

  private func hasExpired(now: UInt64) -> Bool { leases.values.contains { $0.end <= now } }

  private mutating func choose(_ client: Client, _ requested: IPv4Address?, now: UInt64) -> IPv4Address? {
    if leases.count >= capacity, !hasExpired(now: now) { return nil }
    if let requested, canTake(requested, client, now: now) { return requested }
    let hosts = hostCount(interface)
    let first = Int(identifierHash(client) % UInt64(hosts))
    // All leases and our own address can stand in the way, then there is a free one.
    for step in 0...min(hosts - 1, leases.count + 1) {
      let address = IPv4Address(value: interface.network.value + 1 + UInt32((first + step) % hosts))
      if canTake(address, client, now: now) { return address }
    }
    // In a table that is full only the address of an expired lease may be given away.
    return leases.filter { $0.value.end <= now }.min { $0.value.end < $1.value.end }?.key
  }

  private mutating func put(_ address: IPv4Address, _ lease: Lease) {
    remove(address)
    if leases.count >= capacity, let oldest = leases.min(by: { $0.value.end < $1.value.end }) { remove(oldest.key) }
    leases[address] = lease
    if let client = lease.client { addresses[client] = address }
  }

  private mutating func remove(_ address: IPv4Address) {
    if let client = leases.removeValue(forKey: address)?.client { addresses[client] = nil }
  }
}

/// How many hosts the network has room for, its own interface included.
private func hostCount(_ interface: IPv4Interface) -> Int { Int(~interface.mask.value) - 1 }

/// The same number for the same client in every process (FNV-1a).
private func identifierHash(_ client: [UInt8]) -> UInt64 {
  let hash = client.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  return hash ^ hash >> 32
}
