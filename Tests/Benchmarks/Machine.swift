import LinuxIO

/// What was measured on.
struct Machine: Encodable {
  /// As /proc/cpuinfo names it.
  var processor: String
  /// Processors online.
  var processors: Int
  /// Release of the kernel.
  var kernel: String
  /// Memory in MiB.
  var memoryMiB: Int
  /// What else was going on before: the load average of the last minute.
  var loadBefore: Double
  /// Filesystem under the images, and its device; nil when there are no images.
  var filesystem: String?
  /// The programs that measure or are measured, with their versions.
  var tools: [Tool]

  /// A program of others.
  struct Tool: Encodable {
    var name: String
    /// Nil when it is not there.
    var version: String?
  }

  /// The processors that are online.
  static var processorCount: Int {
    let text = (try? readTextFile("/proc/cpuinfo")) ?? ""
    return max(1, text.split(separator: "\n").count { $0.hasPrefix("processor") })
  }

  /// This machine.
  ///
  /// - Parameter directory: where images are; nil when there are none.
  init(directory: String? = nil, tools: [Tool]) {
    let information = (try? readTextFile("/proc/cpuinfo")) ?? ""
    let model = information.split(separator: "\n").first { $0.hasPrefix("model name") }
    processor = model?.split(separator: ":").last.map { String($0.drop { $0 == " " }) } ?? "unknown"
    processors = Self.processorCount
    kernel = ((try? readTextFile("/proc/sys/kernel/osrelease")) ?? "unknown").filter { !$0.isNewline }
    memoryMiB = (statusField("/proc/meminfo", "MemTotal") ?? 0) / 1024
    let load = (try? readTextFile("/proc/loadavg"))?.split(separator: " ").first
    loadBefore = load.flatMap { Double($0) } ?? 0
    filesystem = directory.map(Self.filesystem)
    self.tools = tools
  }

  /// This machine, for measurements of storage.
  ///
  /// - Parameter qemu: qemu-storage-daemon; nil when it is not there.
  init(of workspace: Workspace, fio: String, qemu: String?) throws {
    self.init(
      directory: workspace.directory,
      tools: [
        .init(name: "fio", version: try workspace.version(of: fio)),
        .init(name: "qemu", version: try qemu.flatMap { try workspace.version(of: $0) }),
      ])
  }

  /// What lies under a directory.
  private static func filesystem(of directory: String) -> String {
    let mounts = (try? mountTable()) ?? []
    let under = mounts.filter {
      directory == $0.target || directory.hasPrefix($0.target == "/" ? "/" : $0.target + "/")
    }
    let mount = under.max { $0.target.utf8.count < $1.target.utf8.count }
    return mount.map { "\($0.type) on \($0.source)" } ?? "unknown"
  }

  /// One line a fact.
  var lines: [String] {
    var lines = [
      "processor   \(processor), \(processors) online", "memory      \(memoryMiB) MiB", "kernel      \(kernel)",
      "load before \(fixed(loadBefore, 2))\(loadBefore > 0.5 ? " (not quiet: the figures are too low)" : "")",
    ]
    if let filesystem { lines.append("images on   \(filesystem)") }
    for tool in tools {
      let space = String(repeating: " ", count: max(1, 12 - tool.name.count))
      lines.append(tool.name + space + (tool.version ?? "not there"))
    }
    return lines
  }
}

/// The number after `name:` in a file like /proc/meminfo or /proc/PID/status.
func statusField(_ path: String, _ name: String) -> Int? {
  guard let text = try? readTextFile(path) else { return nil }
  guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name + ":") }) else { return nil }
  return line.split(whereSeparator: { " \t:".contains($0) }).dropFirst().first.flatMap { Int($0) }
}
