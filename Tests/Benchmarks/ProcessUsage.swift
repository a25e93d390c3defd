import FoundationEssentials
import LinuxIO

/// What processes have used since they were started.
struct ProcessUsage {
  /// User and system time in microseconds; the kernel tells it in steps of 10 ms.
  var processorMicroseconds = 0.0
  /// Voluntary and involuntary context switches of all threads.
  var contextSwitches = 0.0
  /// Resident memory in MiB.
  var residentMiB = 0.0
  /// The part of it that is shared memory (the pool of buffers) in MiB.
  var sharedMiB = 0.0

  /// The sum over the given processes now. Those that have ended count nothing.
  init(of processes: [Int32]) {
    for id in processes { add(id) }
  }

  private mutating func add(_ id: Int32) {
    if let stat = try? readTextFile("/proc/\(id)/stat"), let end = stat.lastIndex(of: ")") {
      // After the name: state is field 3, utime 14, stime 15 (proc(5)), in units of 1/100 s.
      let fields = stat[stat.index(after: end)...].split(separator: " ")
      if fields.count > 12 {
        processorMicroseconds += ((Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0)) * 10_000
      }
    }
    // The status of a process counts the switches of its first thread only.
    for thread in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/task")) ?? [] {
      let status = "/proc/\(id)/task/\(thread)/status"
      contextSwitches += Double(statusField(status, "voluntary_ctxt_switches") ?? 0)
      contextSwitches += Double(statusField(status, "nonvoluntary_ctxt_switches") ?? 0)
    }
    residentMiB += Double(statusField("/proc/\(id)/status", "VmRSS") ?? 0) / 1024
    sharedMiB += Double(statusField("/proc/\(id)/status", "RssShmem") ?? 0) / 1024
  }
}
