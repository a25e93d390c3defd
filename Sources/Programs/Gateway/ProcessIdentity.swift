import LinuxIO

/// When the process `id` started, in clock ticks since boot; nil when there is none. With the number it names a process
/// for ever: numbers are used again.
func processStartTime(_ id: Int32) -> UInt64? {
  processStat(id).flatMap { $0.count > 19 && $0[0] != "Z" ? UInt64($0[19]) : nil }
}

/// Whether the process `id` that started at `start` runs.
///
/// One that is about to end, because it was killed, is waited for: what it holds (locks, links, mounts) goes only with its
/// last thread.
func isProcessAlive(_ id: Int32, startedAt start: UInt64) -> Bool {
  guard let stat = processStat(id), stat.count > 19, UInt64(stat[19]) == start else { return false }
  let exitingFlag: UInt64 = 4
  let isExiting = stat[0] == "Z" || stat[0] == "X" || (UInt64(stat[6]) ?? 0) & exitingFlag != 0
  guard isExiting || isKilled(id) else { return true }
  guard let process = try? ProcessHandle(id: id) else { return false }
  return !process.hasEnded(waiting: 5000)
}

/// The fields of /proc/ID/stat behind the name, of which the first is the state.
private func processStat(_ id: Int32) -> [Substring]? {
  guard let text = try? readTextFile("/proc/\(id)/stat"), let end = text.lastIndex(of: ")") else { return nil }
  return text[text.index(after: end)...].split(separator: " ")
}

/// Whether SIGKILL waits for the process.
private func isKilled(_ id: Int32) -> Bool {
  guard let text = try? readTextFile("/proc/\(id)/status") else { return true }
  let killBit: UInt64 = 1 << 8
  return text.split(separator: "\n").contains { line in
    guard line.hasPrefix("SigPnd:") || line.hasPrefix("ShdPnd:") else { return false }
    let mask = line.dropFirst(7).drop { $0 == "\t" || $0 == " " }
    return (UInt64(mask, radix: 16) ?? 0) & killBit != 0
  }
}
