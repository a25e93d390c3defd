import Ethernet
import LinuxIO
import SharedMemory

/// Which member of a switch a station is behind: a bounded hash table that several threads read and write without locks.
///
/// An entry is two words: address and member, and the second when the station was last heard. Two threads that write one
/// entry at the same time lose one of the two stations until it is heard again; that is all.
struct AddressTable: Sendable {
  /// How long a station is remembered that is not heard, in seconds.
  let ageingSeconds: UInt64

  private let region: MemoryRegion
  private let memory: MemorySlice
  private let mask: Int

  /// An address is looked for in so many entries.
  private static let windowCount = 8
  private static let pinned = UInt64.max

  /// A table of at least `capacity` entries, rounded up to a power of two.
  init(capacity: Int, ageingSeconds: UInt64) throws(Errno) {
    var count = AddressTable.windowCount
    while count < capacity { count *= 2 }
    mask = count - 1
    self.ageingSeconds = ageingSeconds
    region = try MemoryRegion(anonymous: count * 16)
    memory = region.slice
  }

  /// How a station was learned.
  enum Lesson {
    case known, new, moved
    /// The entry belongs to a station that was pinned elsewhere, or there was no room.
    case refused
  }

  /// The member that the station is behind; nil when it is not known.
  func member(of address: MACAddress, now: UInt64) -> MemberID? {
    guard address != .zero, let offset = find(address) else { return nil }
    let seen = memory.loadLE64(at: offset + 8)
    guard seen == AddressTable.pinned || isFresh(seen, now: now) else { return nil }
    return MemberID(truncatingIfNeeded: memory.loadLE64(at: offset))
  }

  /// Notes that a frame of the station came from `member` at second `now`.
  func learn(_ address: MACAddress, member: MemberID, now: UInt64) -> Lesson {
    let word = address.value << 16 | UInt64(member)
    if let offset = find(address) {
      let seen = memory.loadLE64(at: offset + 8)
      if memory.loadLE64(at: offset) == word {
        // Stores only once a second: the entry stays in every reader's cache.
        if seen != AddressTable.pinned, seen != now { memory.storeLE64(now, at: offset + 8) }
        return .known
      }
      if seen == AddressTable.pinned { return .refused }
      memory.storeLE64(word, at: offset)
      memory.storeLE64(now, at: offset + 8)
      return .moved
    }
    return insert(word, address, seen: now, now: now) ? .new : .refused
  }

  /// Ties the station to `member` for good: it is neither forgotten nor moved by what others send.
  func pin(_ address: MACAddress, member: MemberID, now: UInt64) {
    let word = address.value << 16 | UInt64(member)
    if let offset = find(address) {
      memory.storeLE64(word, at: offset)
      memory.storeLE64(AddressTable.pinned, at: offset + 8)
    } else {
      // Without room it is a station like others.
      _ = insert(word, address, seen: AddressTable.pinned, now: now)
    }
  }

  /// Forgets all stations behind `member`.
  func removeAll(of member: MemberID) {
    for index in 0...mask {
      let word = memory.loadLE64(at: index * 16)
      if word != 0, MemberID(truncatingIfNeeded: word) == member { memory.storeLE64(0, at: index * 16) }
    }
  }

  /// How many stations are known.
  func count(now: UInt64) -> Int {
    (0...mask).count { index in
      let seen = memory.loadLE64(at: index * 16 + 8)
      return memory.loadLE64(at: index * 16) != 0 && (seen == AddressTable.pinned || isFresh(seen, now: now))
    }
  }

  private func isFresh(_ seen: UInt64, now: UInt64) -> Bool {
    // Threads read the clock at different moments: an entry may be from a second that is still to come here.
    seen >= now || now - seen <= ageingSeconds
  }

  private func find(_ address: MACAddress) -> Int? {
    let start = Int(FlowHash.mix(address.value))
    for step in 0..<AddressTable.windowCount {
      let offset = ((start + step) & mask) * 16
      if memory.loadLE64(at: offset) >> 16 == address.value { return offset }
    }
    return nil
  }

  private func insert(_ word: UInt64, _ address: MACAddress, seen: UInt64, now: UInt64) -> Bool {
    let start = Int(FlowHash.mix(address.value))
    for step in 0..<AddressTable.windowCount {
      let offset = ((start + step) & mask) * 16
      let old = memory.loadLE64(at: offset + 8)
      guard memory.loadLE64(at: offset) == 0 || (old != AddressTable.pinned && !isFresh(old, now: now)) else {
        continue
      }
      // A reader between the two takes the station for an old one at worst.
      memory.storeLE64(seen, at: offset + 8)
      memory.storeLE64(word, at: offset)
      return true
    }
    return false
  }
}

/// The number of a member of a switch: the uplink or a port.
typealias MemberID = UInt16
