import Block
import FUSEBridge
import SharedMemory

/// One request in flight: its memory, and what is left to do. A slot's number is the tag of its requests at the device
/// and the place of its parked reply.
struct Slot {
  /// What the completion of the device means.
  enum Work: UInt8 {
    case read, write, simple, seekData, seekHole
    /// The flush behind a write that has to be durable, where the device has no FUA.
    case flushAfterWrite
  }

  /// The page with the request's header at its end, the payload, and the slack.
  let area: MemorySlice
  var work = Work.simple
  var flags: BlockRequest.Flags = []
  /// First byte on the disk of the transfer or the search.
  var offset: UInt64 = 0
  /// Bytes that are asked of the device in all; for a search, the bytes up to the end of the file.
  var byteCount = 0
  /// Bytes that the device has finished.
  var doneByteCount = 0
  /// Bytes of the request that the device is working on.
  var pieceByteCount = 0
  /// Where the answer to a read begins in the payload, which starts at a multiple of the alignment.
  var replyOffset = 0
  /// Length of the answer.
  var replyByteCount = 0
  /// Where the file begins on the disk; for a search.
  var fileOffset: UInt64 = 0

  init(area: MemorySlice) {
    self.area = area
  }

  /// Where the next request is received: its payload, if it has one, begins on a page.
  var requestArea: MemorySlice { area.dropFirst(pageByteCount - FUSEChannel.headerByteCount) }

  /// A part of the payload.
  func payload(at offset: Int, count: Int) -> MemorySlice {
    area.slice(at: pageByteCount + offset, count: count)
  }
}
