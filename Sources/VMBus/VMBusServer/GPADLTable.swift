import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol

/// The page lists of a guest that its devices may map: filled by the control thread, used by the threads of the channels.
final class GPADLTable: Sendable {
  private struct Entry {
    var list: PublishedGPADL
    var isWithdrawn = false
    /// Mappings that exist, or are being made, by number.
    var mappings: [UInt64: WeakMapping] = [:]
  }

  private struct WeakMapping {
    weak var mapping: GPADLMapping?
  }

  private struct State {
    var entries: [GPADLKey: Entry] = [:]
    var nextNumber: UInt64 = 0
  }

  private let memory: GuestMemory
  private let files: [(guestAddress: UInt64, file: MemoryFile)]
  /// Told when a list that was withdrawn is not mapped any more.
  private let onUnused: @Sendable (GPADLKey) -> Void
  // Under the lock no reference to a mapping may end: its `deinit` takes the lock, too.
  private let state = Mutex(State())

  init(
    memory: GuestMemory, files: [(guestAddress: UInt64, file: MemoryFile)],
    onUnused: @escaping @Sendable (GPADLKey) -> Void
  ) {
    self.memory = memory
    self.files = files
    self.onUnused = onUnused
  }

  // MARK: The control thread

  func publish(_ list: PublishedGPADL) {
    state.withLock { $0.entries[list.key] = Entry(list: list) }
  }

  /// Nobody maps the list from now on, and who has it mapped is told; true when nobody has, else `onUnused` follows.
  func withdraw(_ key: GPADLKey) -> Bool {
    let mappings: [GPADLMapping]? = state.withLock { state in
      guard let entry = state.entries[key], !entry.mappings.isEmpty else {
        state.entries[key] = nil
        return nil
      }
      state.entries[key]?.isWithdrawn = true
      return entry.mappings.values.compactMap(\.mapping)
    }
    guard let mappings else { return true }
    for mapping in mappings { mapping.revoke() }
    return false
  }

  // MARK: Any thread

  /// Maps a list of `device`.
  func map(_ gpadl: UInt32, of device: DeviceKey) throws(ChannelError) -> GPADLMapping {
    let found: (list: PublishedGPADL, number: UInt64)? = state.withLock { state in
      let entry = state.entries.values.first { $0.list.gpadl == gpadl && $0.list.device == device && !$0.isWithdrawn }
      guard let list = entry?.list else { return nil }
      state.nextNumber += 1
      state.entries[list.key]?.mappings[state.nextNumber] = WeakMapping()
      return (list, state.nextNumber)
    }
    guard let (list, number) = found else { throw .protocolFault("no GPADL \(gpadl) of this device") }
    do throws(ChannelError) {
      guard list.ranges.count == 1, let range = list.ranges.first, range.byteOffset == 0,
        range.byteCount % UInt32(pageByteCount) == 0
      else { throw .protocolFault("GPADL \(gpadl) is no single range of whole pages") }
      let (slice, owner) = try memory.map(range.pages, files: files, what: "GPADL \(gpadl)")
      let mapping = GPADLMapping(slice, owner: owner) { [weak self] in self?.release(list.key, number) }
      let isWithdrawn = state.withLock { state in
        state.entries[list.key]?.mappings[number] = WeakMapping(mapping: mapping)
        return state.entries[list.key]?.isWithdrawn ?? true
      }
      if isWithdrawn { mapping.revoke() }
      return mapping
    } catch {
      release(list.key, number)
      throw error
    }
  }

  private func release(_ key: GPADLKey, _ number: UInt64) {
    let isUnused = state.withLock { state in
      state.entries[key]?.mappings[number] = nil
      guard let entry = state.entries[key], entry.isWithdrawn, entry.mappings.isEmpty else { return false }
      state.entries[key] = nil
      return true
    }
    if isUnused { onUnused(key) }
  }
}

extension GuestMemory {
  /// The pages of the guest at consecutive addresses, and what keeps them mapped: this memory where the guest has them so,
  /// else a mapping of their own.
  ///
  /// - Parameter what: names them in errors.
  func map(
    _ pages: [UInt64], files: [(guestAddress: UInt64, file: MemoryFile)], what: String
  ) throws(ChannelError) -> (MemorySlice, any AnyObject & Sendable) {
    if let slice = contiguous(pages) { return (slice, self) }
    for (guestAddress, file) in files {
      let first = guestAddress / UInt64(pageByteCount)
      let count = UInt64(file.byteCount / pageByteCount)
      guard pages.allSatisfy({ $0 >= first && $0 - first < count }) else { continue }
      do throws(Errno) {
        let region = try MemoryRegion(sharing: pages.map { Int($0 - first) }, of: file)
        return (region.slice, region)
      } catch {
        throw .system(what: "mapping \(what)", error)
      }
    }
    throw .protocolFault("\(what): several pieces of memory")
  }

  /// The pages, if the guest has them at consecutive addresses of one piece.
  func contiguous(_ pages: [UInt64]) -> MemorySlice? {
    for (index, page) in pages.enumerated() where page != pages[0] &+ UInt64(index) { return nil }
    return slice(at: pages[0] * UInt64(pageByteCount), byteCount: pages.count * pageByteCount)
  }
}
