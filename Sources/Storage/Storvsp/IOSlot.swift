/// A command that is being carried out: plain numbers in a fixed table. The slot's number is the tag of its requests.
struct IOSlot: BitwiseCopyable {
  /// What the steps of the command do.
  enum Work: UInt8 {
    case idle
    case read
    case write
    /// As `write`, then a flush: FUA for a device that does not know it.
    case writeAndFlush
    /// The same bytes again and again, out of the slot's bounce buffer.
    case writePattern
    case writeZeroes
    case discard
    case flush
    case extent
  }

  var work = Work.idle
  /// FUA for each step of a write; permission to unmap for `writeZeroes`.
  var hasFlag = false
  var replyByteCount: UInt8 = 0
  var unit: Int16 = -1
  var transactionID: UInt64 = 0
  /// The next byte on the disk, and the bytes of the range that are not done.
  var offset: UInt64 = 0
  var remaining: UInt64 = 0
  /// Bytes of the step that is running.
  var current: UInt64 = 0
  /// Bytes of the guest's memory that are done.
  var done: UInt64 = 0
  /// The transfer length that success reports; for `extent` the allocation length.
  var result: UInt32 = 0
  /// Extents of the slot's list that were taken.
  var extentIndex: Int32 = 0
}
