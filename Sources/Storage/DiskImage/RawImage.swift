public import Block
import LinuxIO
public import SharedMemory
import Synchronization

/// A raw image: a file or a block device whose bytes are those of the disk.
///
/// The image stays locked while it is open: exclusively, or shared when it is read-only. Its length does not change by
/// anything that is done here.
public final class RawImage: BlockDevice {
  /// How the image is read and written.
  public enum Cache: Sendable, Equatable {
    /// `direct` for block devices, `buffered` for files.
    case automatic
    /// Through the page cache.
    case buffered
    /// Past the page cache where the alignment of a request allows.
    case direct
  }

  /// How an image is opened.
  public struct Options: Sendable {
    /// Whether it may not be written.
    public var isReadOnly = false
    /// Logical sector size in bytes: 512 or 4096.
    public var sectorByteCount = 512
    /// How it is read and written.
    public var cache = Cache.automatic
    /// Serial number; nil for one derived from the path.
    public var serial: String?
    /// Identity; nil for one derived from the path.
    public var identity: DiskIdentity?

    /// The defaults: writable, sectors of 512 bytes.
    public init() {}
  }

  let buffered: OwnedDescriptor
  let direct: OwnedDescriptor?
  /// The number of `direct`; nil where there is no direct I/O.
  let directNumber: Int32?
  let directMemoryAlignment: UInt
  let directOffsetAlignment: UInt64
  private let state: Mutex<State>

  private struct State {
    var info: BlockDeviceInfo
    var memory: [MemoryRegion] = []
  }

  /// Opens and locks the image at `path`.
  ///
  /// - Throws: any `DiskImageError`.
  public init(path: String, options: Options = Options()) throws(DiskImageError) {
    let access: Int32 = options.isReadOnly ? 0 : 2
    let file = try Self.openFile(path, flags: access, isReadOnly: options.isReadOnly)
    let facts: FileInfo
    do throws(Errno) { facts = try FileInfo(descriptor: file.number) } catch {
      throw .system(what: "look at it", error)
    }
    try Self.check(facts, options: options)
    do throws(Errno) { try file.lock(exclusive: !options.isReadOnly) } catch {
      throw error == .EAGAIN || error == .EACCES
        ? .inUse(holder: imageHolder(path)) : .system(what: "lock it", error)
    }
    let isDirect = options.cache == .direct || (options.cache == .automatic && facts.kind == .blockDevice)
    if isDirect, facts.directOffsetAlignment > 0,
      let opened = try? OwnedDescriptor.open(path, flags: access | directFlag)
    {
      directNumber = opened.number
      direct = consume opened
    } else {
      directNumber = nil
      direct = nil
    }
    directMemoryAlignment = UInt(max(1, facts.directMemoryAlignment))
    directOffsetAlignment = UInt64(max(1, facts.directOffsetAlignment))
    buffered = file
    state = Mutex(State(info: Self.info(facts, path: path, options: options)))
  }

  /// What the disk is now.
  public var info: BlockDeviceInfo { state.withLock { $0.info } }

  /// Any number.
  public var maximumQueueCount: Int { 1024 }

  /// Anonymous memory.
  public func allocateMemory(byteCount: Int) throws(BlockError) -> MemorySlice {
    do throws(Errno) {
      let region = try MemoryRegion(anonymous: byteCount)
      state.withLock { $0.memory.append(region) }
      return region.slice
    } catch {
      throw .noMemory
    }
  }

  /// A queue with an io_uring of its own.
  public func makeQueue(depth: Int) throws(BlockError) -> any BlockQueue {
    do throws(Errno) { return try RawImageQueue(image: self, depth: depth) } catch { throw BlockError(error) }
  }

  /// Looks at the length of the file again. Answers whether it has changed.
  @discardableResult
  public func refreshSize() -> Bool {
    guard let facts = try? FileInfo(descriptor: buffered.number) else { return false }
    return state.withLock { state in
      let sector = UInt64(state.info.sectorByteCount)
      let byteCount = facts.byteCount / sector * sector
      defer { state.info.byteCount = byteCount }
      return state.info.byteCount != byteCount
    }
  }

  private static func openFile(_ path: String, flags: Int32, isReadOnly: Bool) throws(DiskImageError) -> OwnedDescriptor {
    do throws(Errno) {
      let file = try OwnedDescriptor.open(path, flags: flags)
      // A block device that is mounted or part of another device refuses an exclusive open.
      if !isReadOnly, try FileInfo(descriptor: file.number).kind == .blockDevice {
        return try OwnedDescriptor.open(path, flags: flags | exclusiveFlag)
      }
      return file
    } catch {
      switch error {
      case .ENOENT, .ENOTDIR: throw .notFound
      case .EISDIR: throw .directory
      case .EACCES, .EPERM, .EROFS: throw .noPermission(toWrite: !isReadOnly)
      case .EBUSY: throw .inUse(holder: imageHolder(path))
      case .ENXIO: throw .notAnImage
      default: throw .system(what: "open it", error)
      }
    }
  }

  private static func check(_ facts: FileInfo, options: Options) throws(DiskImageError) {
    switch facts.kind {
    case .directory: throw .directory
    case .other: throw .notAnImage
    case .blockDevice where options.sectorByteCount < facts.logicalSectorByteCount:
      throw .sectorSize(options.sectorByteCount, needed: facts.logicalSectorByteCount)
    default: break
    }
    if facts.byteCount == 0 { throw .empty }
    if facts.byteCount % UInt64(options.sectorByteCount) != 0 {
      throw .oddLength(byteCount: facts.byteCount, sectorByteCount: options.sectorByteCount)
    }
  }

  private static func info(_ facts: FileInfo, path: String, options: Options) -> BlockDeviceInfo {
    var info = BlockDeviceInfo(byteCount: facts.byteCount, sectorByteCount: options.sectorByteCount)
    info.physicalSectorByteCount = max(options.sectorByteCount, facts.physicalSectorByteCount)
    info.isReadOnly = options.isReadOnly
    info.isRotational = facts.isRotational
    info.supportsDiscard = true
    info.discardReadsZero = true
    info.discardGranularity = max(4096, options.sectorByteCount)
    info.supportsWriteZeroes = true
    info.identity = options.identity ?? derivedIdentity(path)
    info.serial = options.serial ?? hexadecimal(info.identity.high)
    return info
  }
}

/// O_DIRECT and O_EXCL on x86-64 and arm64 differ; the values are those of this machine.
#if arch(arm64)
  private let directFlag: Int32 = 0o200000
#else
  private let directFlag: Int32 = 0o40000
#endif
private let exclusiveFlag: Int32 = 0o200

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
