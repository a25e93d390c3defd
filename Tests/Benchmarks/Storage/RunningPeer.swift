import FoundationEssentials
import LinuxIO

/// A peer that serves an image as a file.
struct RunningPeer {
  let workspace: Workspace
  let peer: Peer
  let programs: PeerPrograms
  /// What fio uses.
  let file: String
  /// The peer's own directory.
  let directory: String
  private(set) var processes: [ProcessHandle] = []
  /// From the start of the first process until the file was there, in milliseconds.
  private(set) var startMilliseconds = 0.0

  var processIDs: [Int32] { processes.map(\.id) }

  /// Starts the peer and waits until its file has the size of the image; nil when a program is missing.
  init?(
    _ peer: Peer, _ programs: PeerPrograms, image: String, size: UInt64, cache: CacheMode, in workspace: Workspace
  ) throws {
    self.workspace = workspace
    self.peer = peer
    self.programs = programs
    directory = workspace.path(peer.rawValue)
    guard let commands = programs.commands(peer, image: image, size: size, cache: cache, directory: directory) else {
      return nil
    }
    switch peer {
    case .bare: file = image
    case .qemu: file = "\(directory)/whole"
    default: file = "\(directory)/mount/whole"
    }
    guard !commands.isEmpty else { return }
    try FileManager.default.createDirectory(atPath: "\(directory)/mount", withIntermediateDirectories: true)
    if peer == .qemu { try Data().write(to: URL(filePath: file)) }
    if peer == .socket {
      let configuration = """
        listen: \(directory)/host.sock
        controllers:
          - disks:
              - { target: 0, lun: 0, image: \(image), cache: \(cache.rawValue) }

        """
      try Data(configuration.utf8).write(to: URL(filePath: "\(directory)/host.yaml"))
    }
    try Self.awaitUnlocked(image, in: workspace)
    let begin = monotonicNanoseconds()
    do {
      for command in commands {
        processes.append(try workspace.start(command.arguments, log: "\(peer.rawValue).log"))
        if let path = command.awaits { try waitUntil(path) { FileManager.default.fileExists(atPath: path) } }
      }
      let file = file
      try waitUntil(file) { fileSize(file) == size }
    } catch {
      stop()
      throw error
    }
    startMilliseconds = Double(monotonicNanoseconds() - begin) / 1e6
  }

  private func waitUntil(_ what: String, _ isThere: () -> Bool) throws {
    try workspace.wait(for: what, of: peer.title, while: processes.last, log: "\(peer.rawValue).log", isThere)
  }

  /// Waits until nobody keeps the image locked: the kernel lets the files of an io_uring go some ten milliseconds after
  /// its process has ended, and their locks with them.
  private static func awaitUnlocked(_ image: String, in workspace: Workspace) throws {
    let number = (try? FileManager.default.attributesOfItem(atPath: image))?[.systemFileNumber] as? any BinaryInteger
    guard let number else { return }
    for _ in 0..<2000 {
      let locks = ((try? readTextFile("/proc/locks")) ?? "").split(separator: "\n")
      guard locks.contains(where: { $0.contains(":\(number) ") }) else { return }
      _ = try workspace.pause(milliseconds: 1)
    }
  }

  /// Ends the processes, the newest first, and removes the peer's directory.
  func stop() {
    for process in processes.reversed() { workspace.stop(process) }
    guard !processes.isEmpty else { return }
    workspace.unmountAll()
    let left = ((try? mountTable()) ?? []).contains { $0.target.hasPrefix(directory + "/") }
    if !left { try? FileManager.default.removeItem(atPath: directory) }
  }

  /// Requests and doorbells so far, where the peer tells them.
  func busCounters() throws -> BusCounters? {
    guard peer == .embedded || peer == .socket, let synthgate = programs.synthgate else { return nil }
    let log = "status.json"
    try? FileManager.default.removeItem(atPath: workspace.path(log))
    try workspace.run([synthgate, "status", "--json"], log: log)
    let bytes = Data(try readTextFile(workspace.path(log)).utf8)
    return try JSONDecoder().decode([BusCounters].self, from: bytes).first { $0.directory == "\(directory)/mount" }
  }
}

/// What `synthgate status --json` tells of a mount.
struct BusCounters: Decodable {
  var directory: String
  var requests: Double
  var doorbells: Double
}

/// The length of a file, nil when it can't be looked at.
func fileSize(_ path: String) -> UInt64? {
  ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? any BinaryInteger).map { UInt64($0) }
}
