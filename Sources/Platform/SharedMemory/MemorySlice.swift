public import Synchronization

/// A range of memory that a peer (another process, a kernel, a guest) may read and write at any time.
///
/// A slice is a plain value that owns nothing: whoever hands it out keeps the `MemoryRegion` behind it mapped until
/// every queue that was given the slice has been closed. All access is checked against the bounds; contents may change
/// between two reads, so that what is to be interpreted is copied out first.
@safe public struct MemorySlice: Sendable, Equatable {
  // SAFETY: [base, base + byteCount) is mapped as long as the region lives; see above.
  @usableFromInline nonisolated(unsafe) let base: UnsafeMutableRawPointer
  /// Length in bytes.
  public let byteCount: Int

  @inlinable
  @unsafe init(base: UnsafeMutableRawPointer, byteCount: Int) {
    unsafe self.base = unsafe base
    self.byteCount = byteCount
  }

  /// The first byte, for system calls. Only edge targets may use it, within the bounds, while the region is mapped.
  @inlinable
  @unsafe public var pointer: UnsafeMutableRawPointer { unsafe base }

  /// Whether both name the same bytes of the same mapping.
  public static func == (a: MemorySlice, b: MemorySlice) -> Bool {
    a.address == b.address && a.byteCount == b.byteCount
  }

  /// The address of the first byte, to be compared with those of other slices.
  @inlinable
  public var address: UInt {
    // SAFETY: the number is not turned into a pointer again.
    unsafe UInt(bitPattern: base)
  }

  /// The `count` bytes from `offset` on; both must lie inside.
  @inlinable
  public func slice(at offset: Int, count: Int) -> MemorySlice {
    precondition(offset >= 0 && count >= 0 && offset <= byteCount && count <= byteCount - offset)
    // SAFETY: checked above.
    return unsafe MemorySlice(base: base + offset, byteCount: count)
  }

  /// The bytes from `offset` to the end.
  @inlinable
  public func dropFirst(_ offset: Int) -> MemorySlice {
    slice(at: offset, count: byteCount - offset)
  }

  /// Copies the bytes from `offset` on into `target`, as many as it holds.
  @inlinable
  public func copyOut(from offset: Int = 0, into target: inout MutableRawSpan) {
    let count = target.byteCount
    precondition(offset >= 0 && offset <= byteCount && count <= byteCount - offset)
    // SAFETY: both ranges are inside (checked above); private memory does not overlap a shared mapping.
    unsafe target.withUnsafeMutableBytes {
      if let first = $0.baseAddress { unsafe first.copyMemory(from: base + offset, byteCount: count) }
    }
  }

  /// Copies `source` over the bytes from `offset` on.
  @inlinable
  public func copyIn(_ source: RawSpan, at offset: Int = 0) {
    let count = source.byteCount
    precondition(offset >= 0 && offset <= byteCount && count <= byteCount - offset)
    // SAFETY: both ranges are inside (checked above); private memory does not overlap a shared mapping.
    unsafe source.withUnsafeBytes {
      if let first = $0.baseAddress { unsafe (base + offset).copyMemory(from: first, byteCount: count) }
    }
  }

  /// Copies all bytes of `source` over those from `offset` on; the two may overlap.
  @inlinable
  public func copyIn(_ source: MemorySlice, at offset: Int = 0) {
    precondition(offset >= 0 && offset <= byteCount && source.byteCount <= byteCount - offset)
    // SAFETY: both ranges are inside (checked above); copyMemory allows an overlap.
    unsafe (base + offset).copyMemory(from: source.base, byteCount: source.byteCount)
  }

  /// Sets every byte to `value`.
  @inlinable
  public func fill(_ value: UInt8 = 0) {
    // SAFETY: the whole slice is mapped.
    unsafe _ = base.initializeMemory(as: UInt8.self, repeating: value, count: byteCount)
  }

  /// A copy of the bytes.
  public func bytes() -> [UInt8] {
    // SAFETY: the whole slice is mapped.
    unsafe [UInt8](UnsafeRawBufferPointer(start: base, count: byteCount))
  }

  /// The little-endian 64-bit integer at the aligned `offset`, read at once.
  @inlinable
  public func loadLE64(at offset: Int) -> UInt64 {
    precondition(offset >= 0 && offset <= byteCount - 8 && (address + UInt(offset)) % 8 == 0)
    // SAFETY: inside and aligned (checked above); an atomic word has the layout of the integer.
    let word = unsafe UnsafePointer((base + offset).assumingMemoryBound(to: Atomic<UInt64>.self))
    return unsafe UInt64(littleEndian: word.pointee.load(ordering: .relaxed))
  }

  /// Stores a little-endian 64-bit integer at the aligned `offset`, at once.
  @inlinable
  public func storeLE64(_ value: UInt64, at offset: Int) {
    precondition(offset >= 0 && offset <= byteCount - 8 && (address + UInt(offset)) % 8 == 0)
    // SAFETY: inside and aligned (checked above); an atomic word has the layout of the integer.
    let word = unsafe UnsafePointer((base + offset).assumingMemoryBound(to: Atomic<UInt64>.self))
    unsafe word.pointee.store(value.littleEndian, ordering: .relaxed)
  }

  /// The aligned 32-bit word at `offset`, to be shared with the peer.
  @inlinable
  public func word32(at offset: Int) -> SharedWord32 {
    precondition(offset >= 0 && offset <= byteCount - 4 && (address + UInt(offset)) % 4 == 0)
    // SAFETY: inside and aligned (checked above); an atomic word has the layout of the integer.
    return unsafe SharedWord32(
      word: UnsafePointer((base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)))
  }
}

/// A 32-bit word in shared memory, for example a ring index. Little-endian like everything on VMBus.
@safe public struct SharedWord32: Sendable {
  // SAFETY: points into a slice, under the same rule of life time.
  @usableFromInline nonisolated(unsafe) let word: UnsafePointer<Atomic<UInt32>>

  @inlinable
  @unsafe init(word: UnsafePointer<Atomic<UInt32>>) {
    unsafe self.word = unsafe word
  }

  /// Reads the word; what the peer wrote before it stored the word is visible afterwards.
  @inlinable
  public func loadAcquiring() -> UInt32 {
    unsafe word.pointee.load(ordering: .acquiring)
  }

  /// Reads the word without ordering.
  @inlinable
  public func loadRelaxed() -> UInt32 {
    unsafe word.pointee.load(ordering: .relaxed)
  }

  /// Stores the word; the peer that sees it sees everything that was written before.
  @inlinable
  public func storeReleasing(_ value: UInt32) {
    unsafe word.pointee.store(value, ordering: .releasing)
  }

  /// Sets bits and answers the word as it was before.
  @inlinable
  @discardableResult
  public func setBits(_ bits: UInt32) -> UInt32 {
    unsafe word.pointee.bitwiseOr(bits, ordering: .sequentiallyConsistent).oldValue
  }

  /// Clears bits and answers the word as it was before.
  @inlinable
  @discardableResult
  public func clearBits(_ bits: UInt32) -> UInt32 {
    unsafe word.pointee.bitwiseAnd(~bits, ordering: .sequentiallyConsistent).oldValue
  }

  /// Replaces the word and answers what it was before.
  @inlinable
  @discardableResult
  public func exchange(_ value: UInt32) -> UInt32 {
    unsafe word.pointee.exchange(value, ordering: .sequentiallyConsistent)
  }
}

/// Orders every load and store before it with every one after it, for all observers.
@inlinable
public func fullMemoryFence() {
  atomicMemoryFence(ordering: .sequentiallyConsistent)
}
