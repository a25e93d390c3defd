@testable import DiskImage
import LinuxIO
import Synchronization

/// Notes every change of the file under an image, in order.
final class CrashRecorder: FileObserver {
  private let changes = Mutex<[FileChange]>([])
  /// The change with this number fails.
  private let failure = Mutex<(number: Int, error: Errno)?>(nil)

  func willChange(_ change: FileChange) -> Errno? {
    let number = changes.withLock {
      $0.append(change)
      return $0.count
    }
    return failure.withLock { $0?.number == number ? $0?.error : nil }
  }

  /// Lets the change with this number, counted from 1, fail.
  func fail(_ number: Int, _ error: Errno) { failure.withLock { $0 = (number, error) } }

  var count: Int { changes.withLock { $0.count } }
  var all: [FileChange] { changes.withLock { $0 } }
}

/// A file as pages in memory: zeros where there is none.
struct PageFile {
  private(set) var pages: [UInt64: [UInt8]] = [:]
  private(set) var byteCount: UInt64

  /// The file at `path`.
  init(_ path: String) throws {
    let bytes = try contents(path)
    byteCount = UInt64(bytes.count)
    let zeros = [UInt8](repeating: 0, count: 4096)
    for start in stride(from: 0, to: bytes.count, by: 4096) {
      let page = Array(bytes[start..<min(start + 4096, bytes.count)])
      if page != zeros { pages[UInt64(start)] = page + zeros.dropFirst(page.count) }
    }
  }

  mutating func apply(_ change: FileChange) {
    switch change {
    case .write(let offset, let bytes, _): put(bytes, at: offset)
    case .zero(let offset, let count):
      let end = min(offset + count, byteCount)
      var position = offset
      while position < end {
        let part = min(end - position, 4096 - position % 4096)
        if part == 4096 {
          pages[position] = nil
        } else if pages[position / 4096 * 4096] != nil {
          put([UInt8](repeating: 0, count: Int(part)), at: position)
        }
        position += part
      }
    case .truncate(let count):
      if count < byteCount {
        pages = pages.filter { $0.key < count }
        let inside = Int(count % 4096)
        if inside > 0, let page = pages[count - UInt64(inside)] {
          pages[count - UInt64(inside)] = Array(page.prefix(inside)) + [UInt8](repeating: 0, count: 4096 - inside)
        }
      }
      byteCount = count
    case .synchronizeBegin, .synchronizeEnd: break
    }
  }

  private mutating func put(_ bytes: [UInt8], at offset: UInt64) {
    byteCount = max(byteCount, offset + UInt64(bytes.count))
    var done = 0
    while done < bytes.count {
      let position = offset + UInt64(done)
      let start = position / 4096 * 4096
      let inside = Int(position - start)
      let part = min(bytes.count - done, 4096 - inside)
      var page = pages[start] ?? [UInt8](repeating: 0, count: 4096)
      page.replaceSubrange(inside..<(inside + part), with: bytes[done..<(done + part)])
      pages[start] = page
      done += part
    }
  }

  /// Makes a file of the pages.
  func write(to path: String) throws {
    _ = try? removeFile(path)
    let file = try OwnedDescriptor.create(path)
    try file.truncate(to: byteCount)
    for (offset, page) in pages where offset < byteCount {
      let count = min(page.count, Int(byteCount - offset))
      try writeBytes(count == page.count ? page : Array(page[..<count]), to: file.number, at: offset)
    }
  }
}
