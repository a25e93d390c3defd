public import Block
import LinuxIO
public import SharedMemory
import Synchronization

/// A raw image: a file or a block device whose bytes are those of the disk.
///
/// The image stays locked while it is open: exclusively, or shared when it is read-only. The lock belongs to the open file
/// that all writes in flight use, so that the kernel frees it when the process dies, but not before its I/O has ended.
/// Nothing but `resize` changes the length of the file.
public final class RawImage: OpenedImage {
  /// The file as every write, flush and allocation sees it; it holds the lock.
  let file: OwnedDescriptor
  /// With direct I/O, the same file through the page cache, for reads that are not aligned.
  private let cached: OwnedDescriptor?
  /// The descriptor that goes through the page cache: that of `file` without direct I/O.
  let cachedDescriptor: Int32
  /// Whether `file` goes past the page cache.
  let isDirect: Bool
  /// Alignment of memory, and of offset and length, for direct I/O; 1 without.
  let memoryAlignment: UInt
  let offsetAlignment: UInt64
  /// Alignment of ranges whose storage can be given back or zeroed.
  let allocationAlignment: UInt64
  let discardMethod: DiscardMethod
  /// Zeros to be written where the storage can't be zeroed otherwise; never written to.
  let zeros: MemoryRegion
  /// Where writes are put together that are not aligned for direct I/O, one at a time.
  private let staging: Mutex<MemoryRegion?>
  /// Whether the disk is only a part of the file, whose length says nothing then.
  private let isWindow: Bool
  /// Capacity in bytes, as the queues see it.
  private let byteCount: Atomic<UInt64>
  private let state: Mutex<State>

  /// How storage is given back.
  enum DiscardMethod {
    case none
    /// fallocate(2): the range reads as zeros afterwards.
    case punch
    /// BLKDISCARD: what it reads as afterwards is not known.
    case blockDiscard
  }

  private struct State {
    var info: BlockDeviceInfo
    var memory: [MemoryRegion] = []
  }

  /// Opens and locks the file at `path`, whatever format it looks like.
  ///
  /// - Throws: any `DiskImageError`.
  public convenience init(path: String, options: DiskImage.Options = DiskImage.Options()) throws(DiskImageError) {
    try self.init(ImageSource.find(path, isReadOnly: options.isReadOnly), options: options)
  }

  /// - Parameter window: how many bytes of the file are those of the disk, from its start; nil: all.
  init(_ source: consuming ImageSource, options: DiskImage.Options, window: UInt64? = nil) throws(DiskImageError) {
    let facts = source.facts
    let length = window ?? facts.byteCount
    let isBlockDevice = facts.kind == .blockDevice
    let sectorByteCount = options.sectorByteCount ?? (isBlockDevice ? max(512, facts.logicalSectorByteCount) : 512)
    guard sectorByteCount == 512 || sectorByteCount == 4096 else { throw .sectorSize(sectorByteCount, needed: 512) }
    if isBlockDevice, sectorByteCount < facts.logicalSectorByteCount {
      throw .sectorSize(sectorByteCount, needed: facts.logicalSectorByteCount)
    }
    if length % UInt64(sectorByteCount) != 0 {
      throw .oddLength(byteCount: length, sectorByteCount: sectorByteCount)
    }
    let direct = try Self.openDirect(source, options: options)
    let isDirect = direct != nil
    let file: OwnedDescriptor
    if let direct { file = direct } else { file = try Self.reopen(source, direct: false) }
    if options.isLocked { try lockImage(file, path: source.path, exclusive: !options.isReadOnly) }

    var info = BlockDeviceInfo(byteCount: length, sectorByteCount: sectorByteCount)
    info.physicalSectorByteCount = max(sectorByteCount, facts.physicalSectorByteCount)
    info.maximumTransferByteCount = Self.maximumTransferByteCount
    info.isReadOnly = options.isReadOnly
    info.isRotational = facts.isRotational
    info.identity = options.identity ?? derivedIdentity(source.path)
    info.serial = options.serial ?? hexadecimal(info.identity.high)
    discardMethod = Self.discardMethod(file, facts: facts, isReadOnly: options.isReadOnly, info: &info)
    info.supportsWriteZeroes = !options.isReadOnly

    memoryAlignment = isDirect ? UInt(facts.directMemoryAlignment) : 1
    offsetAlignment = isDirect ? UInt64(facts.directOffsetAlignment) : 1
    allocationAlignment = isBlockDevice ? UInt64(facts.logicalSectorByteCount) : 1
    do throws(Errno) { zeros = try MemoryRegion(anonymous: Self.stagingByteCount) } catch {
      throw .system(what: "take memory", error)
    }
    staging = Mutex(nil)
    byteCount = Atomic(length)
    isWindow = window != nil
    state = Mutex(State(info: info))
    self.isDirect = isDirect
    cachedDescriptor = isDirect ? source.file.number : file.number
    self.file = file
    cached = isDirect ? source.releaseFile() : nil
  }

  /// The most bytes and pieces of a transfer; the latter is the kernel's limit (UIO_MAXIOV).
  static let maximumTransferByteCount = 4 << 20
  static let maximumPieceCount = 1024
  /// Length of `zeros` and of the memory in `staging`.
  static let stagingByteCount = 1 << 20

  /// What the disk is now.
  public var info: BlockDeviceInfo { state.withLock { $0.info } }

  /// Capacity in bytes now.
  var currentByteCount: UInt64 { byteCount.load(ordering: .acquiring) }

  /// Runs `body` with the memory in which unaligned writes are put together; one caller at a time.
  func withStaging(_ body: (MemorySlice) throws(Errno) -> Void) throws(Errno) {
    try staging.withLock { region throws(Errno) in
      if region == nil { region = try MemoryRegion(anonymous: Self.stagingByteCount) }
      if let region { try body(region.slice) }
    }
  }

  /// How the image is read and written: `buffered` or `direct`.
  public var cache: DiskImage.Cache { isDirect ? .direct : .buffered }

  /// Any number.
  public var maximumQueueCount: Int { 1024 }

  /// Anonymous memory.
  public func allocateMemory(byteCount: Int) throws(BlockError) -> MemorySlice {
    guard byteCount > 0, let region = try? MemoryRegion(anonymous: byteCount) else { throw .noMemory }
    state.withLock { $0.memory.append(region) }
    return region.slice
  }

  /// A queue with an io_uring of its own, or where the system allows none, one that does each request at once.
  public func makeQueue(depth: Int) throws(BlockError) -> any BlockQueue {
    do throws(Errno) { return try RawImageQueue(image: self, depth: depth) } catch { throw BlockError(error) }
  }

  /// Nothing is kept back.
  public func close() {}

  /// Looks at the length of the file again, and answers whether it has changed. Any thread may call it; the queues know the
  /// new size at once. A length that is not a multiple of the sector size is rounded down.
  @discardableResult
  public func refreshSize() -> Bool {
    guard !isWindow, let facts = try? FileInfo(descriptor: file.number) else { return false }
    return state.withLock { state in
      let sector = UInt64(state.info.sectorByteCount)
      let now = facts.byteCount / sector * sector
      if now == state.info.byteCount { return false }
      state.info.byteCount = now
      byteCount.store(now, ordering: .releasing)
      return true
    }
  }

  /// Gives the file another length, and with it the disk another capacity; any thread may call it. Bytes that come read as
  /// zeros. What a guest still writes behind a new end while the file becomes shorter may make it longer again, with a
  /// disk of the new capacity all the same. A block device can't be changed here: `byteCount` must be what it has become.
  ///
  /// - Throws: `.length` for a size that is not possible, `.system` when the file can't be changed.
  public func resize(to byteCount: UInt64) throws(DiskImageError) {
    if isWindow {
      // The footer behind the disk would be lost.
      guard byteCount == info.byteCount else {
        throw .length("an image of this format can't be resized while it is open")
      }
      return
    }
    guard let facts = try? FileInfo(descriptor: file.number) else { throw .system(what: "look at it", .EBADF) }
    try state.withLock { state throws(DiskImageError) in
      let sector = UInt64(state.info.sectorByteCount)
      guard !state.info.isReadOnly else { throw .length("it is served read-only") }
      guard byteCount > 0, byteCount % sector == 0, byteCount <= UInt64(Int64.max) else {
        throw .length("\(byteCount) bytes are not a whole number of sectors of \(sector) bytes")
      }
      if facts.kind == .blockDevice {
        guard facts.byteCount == byteCount else {
          throw .length("it is a block device of \(facts.byteCount) bytes: change that one first")
        }
      } else {
        // A queue must never see more than the file has.
        if byteCount < state.info.byteCount { self.byteCount.store(byteCount, ordering: .releasing) }
        do throws(Errno) { try file.truncate(to: byteCount) } catch {
          self.byteCount.store(state.info.byteCount, ordering: .releasing)
          throw .system(what: "change its length", error)
        }
      }
      state.info.byteCount = byteCount
      self.byteCount.store(byteCount, ordering: .releasing)
    }
  }
}

extension RawImage {
  /// The file for direct I/O, locked by nobody yet; nil where that is not wanted or not possible.
  private static func openDirect(
    _ source: borrowing ImageSource, options: DiskImage.Options
  ) throws(DiskImageError) -> OwnedDescriptor? {
    let facts = source.facts
    let isWanted = options.cache == .direct || (options.cache == .automatic && facts.kind == .blockDevice)
    guard isWanted, facts.directOffsetAlignment > 0, facts.directMemoryAlignment > 0 else { return nil }
    guard facts.directOffsetAlignment <= stagingByteCount else { return nil }
    do throws(DiskImageError) { return try reopen(source, direct: true) } catch {
      // The filesystem has no direct I/O after all.
      if case .system(_, .EINVAL) = error { return nil }
      throw error
    }
  }

  private static func reopen(
    _ source: borrowing ImageSource, direct: Bool
  ) throws(DiskImageError) -> OwnedDescriptor {
    do throws(Errno) {
      // A block device that is mounted, or part of another device, refuses to be opened exclusively.
      return try source.reopen(direct: direct, exclusive: source.facts.kind == .blockDevice && !source.isReadOnly)
    } catch {
      throw DiskImageError(opening: source.path, error, toWrite: !source.isReadOnly)
    }
  }

  private static func discardMethod(
    _ file: borrowing OwnedDescriptor, facts: FileInfo, isReadOnly: Bool, info: inout BlockDeviceInfo
  ) -> DiscardMethod {
    if isReadOnly { return .none }
    if facts.kind == .blockDevice {
      guard let limits = try? BlockQueueLimits(descriptor: file.number), limits.maximumDiscardByteCount > 0 else {
        return .none
      }
      info.supportsDiscard = true
      info.discardReadsZero = limits.maximumWriteZeroesByteCount > 0
      info.discardGranularity = max(info.sectorByteCount, Int(clamping: limits.discardGranularity))
      return info.discardReadsZero ? .punch : .blockDiscard
    }
    // There is nothing behind the end, so that this changes nothing, but it fails where there are no holes.
    do throws(Errno) {
      try file.allocate(.punchHole, offset: facts.byteCount, byteCount: UInt64(info.sectorByteCount))
    } catch {
      return .none
    }
    info.supportsDiscard = true
    info.discardReadsZero = true
    info.discardGranularity = max(4096, info.sectorByteCount)
    return .punch
  }
}

/// An identity for an image that carries none: a hash (FNV-1a, twice) of its canonical path, so that the same file is the
/// same disk after a restart.
func derivedIdentity(_ path: String) -> DiskIdentity {
  let bytes = Array(((try? canonicalPath(path)) ?? path).utf8)
  func hash(_ seed: UInt64) -> UInt64 {
    bytes.reduce(seed) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
  }
  return DiskIdentity(high: hash(0xcbf2_9ce4_8422_2325), low: hash(0x8422_2325_cbf2_9ce4))
}

/// `number` as 16 hexadecimal digits.
func hexadecimal(_ number: UInt64) -> String {
  let digits = String(number, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
