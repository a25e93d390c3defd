import CFUSE
import LinuxIO
import SharedMemory

/// The few fields of FUSE_INIT (fuse_init_in, fuse_init_out in linux/fuse.h, protocol 7.36 and later) that libfuse 3.14
/// does not reach.
enum InitLayout {
  /// Length of the header of a request (fuse_in_header).
  static let requestHeaderByteCount = 40
  /// FUSE_INIT_EXT of `flags`: `flags2` counts.
  static let extended: UInt32 = 1 << 30
  /// FUSE_DIRECT_IO_ALLOW_MMAP of `flags2` (bit 36 of the 64): a shared mmap works on a file that is open for direct I/O.
  static let directIOAllowsMapping: UInt32 = 1 << 4

  /// `flags2` of the kernel's FUSE_INIT, 0 from kernels that have none.
  static func offeredFlags2(_ request: MemorySlice) -> UInt32 {
    guard request.byteCount >= requestHeaderByteCount + 20,
      request.word32(at: requestHeaderByteCount + 12).loadRelaxed() & extended != 0
    else { return 0 }
    return request.word32(at: requestHeaderByteCount + 16).loadRelaxed()
  }

  /// Adds what we want to the reply that libfuse has put together: the header, then fuse_init_out with `flags` at 12 and
  /// `flags2` at 32.
  static func extendReply(_ pieces: UnsafeMutablePointer<iovec>, _ count: Int32, offeredFlags2: UInt32) {
    // SAFETY: the second piece is libfuse's own fuse_init_out on its stack, at least 36 bytes long (checked first).
    guard count == 2, offeredFlags2 & directIOAllowsMapping != 0, unsafe pieces[1].iov_len >= 36 else { return }
    let reply = unsafe pieces[1].iov_base!
    let flags = unsafe reply.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
    let flags2 = unsafe reply.loadUnaligned(fromByteOffset: 32, as: UInt32.self)
    // Without FUSE_INIT_EXT the field may hold anything.
    let before = flags & extended == 0 ? 0 : flags2
    unsafe reply.storeBytes(of: flags | extended, toByteOffset: 12, as: UInt32.self)
    unsafe reply.storeBytes(of: before | directIOAllowsMapping, toByteOffset: 32, as: UInt32.self)
  }

  /// The kernel's first request, which it sends by itself after mount(2), and its length.
  static func receive(from descriptor: Int32) throws(FUSEError) -> (MemoryRegion, Int) {
    let region: MemoryRegion
    do throws(Errno) {
      // The kernel wants room for 8 KiB at least (FUSE_MIN_READ_BUFFER).
      region = try MemoryRegion(anonymous: 1 << 16)
    } catch {
      throw .handshake(error)
    }
    let ready = synthgate_fuse_poll(descriptor, 10_000)
    guard ready > 0 else { throw .handshake(ready == 0 ? .ETIMEDOUT : Errno(rawValue: -ready)) }
    // SAFETY: the kernel writes at most the length of the region, which is referenced.
    let count = unsafe synthgate_fuse_read(descriptor, region.slice.pointer, region.byteCount)
    guard count >= requestHeaderByteCount + 16 else {
      throw .handshake(count < 0 ? Errno(rawValue: Int32(-count)) : .EPROTO)
    }
    return (region, count)
  }
}
