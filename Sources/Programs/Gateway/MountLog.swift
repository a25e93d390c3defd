import FoundationEssentials
import LinuxIO
import Synchronization

/// The log of a mount process: a line with the time for each thing worth knowing.
final class MountLog: Sendable {
  private let file: Mutex<Int32>
  private let owned: OwnedDescriptor?

  /// Opens the file at `path` for appending.
  init(path: String) {
    // O_WRONLY | O_CREAT | O_APPEND
    if let opened = try? OwnedDescriptor.open(path, flags: 0o1 | 0o100 | 0o2000, mode: 0o600) {
      file = Mutex(opened.number)
      owned = consume opened
    } else {
      file = Mutex(-1)
      owned = nil
    }
  }

  /// Appends a line.
  func write(_ text: String) {
    let seconds = Int(Date().timeIntervalSince1970)
    file.withLock { number in
      if number >= 0 { try? writeAll(Array("\(seconds) \(text)\n".utf8), to: number) }
    }
  }
}
