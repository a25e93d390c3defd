import Block
import DiskFS
import FilesystemProbe
import FoundationEssentials
import LinuxIO
import Storvsc
import Synchronization
import SyntheticHost
import VMBusProtocol
import VMBusUIO

/// A mount from beginning to end, in this process: bus, disk, files, filesystem; then it serves until it is told to end, or
/// the filesystem is unmounted. Whatever it made, it takes away again.
public final class MountProcess: Sendable {
  private let request: MountRequest
  private let runtime: RuntimeDirectory
  private let what: String
  private let signals: SignalQueue
  private let name: String
  private let log: MountLog

  /// Runs a mount.
  ///
  /// - Parameter report: told what happens until the mount is there.
  /// - Throws: why it could not be mounted; nothing is left of it then.
  public static func run(_ request: MountRequest, report: (ProcessReport) -> Void) throws(GatewayError) {
    let runtime = RuntimeDirectory.current
    runtime.cleanUpStale()
    let process = try MountProcess(request, runtime: runtime)
    defer { runtime.removeState(process.name) }
    try process.run(report)
  }

  private init(_ request: MountRequest, runtime: RuntimeDirectory) throws(GatewayError) {
    self.request = request
    self.runtime = runtime
    what = "mount \(request.source)"
    try Self.checkDirectory(request.directory, what: what)
    do throws(Errno) { signals = try SignalQueue([1, 2, 15]) } catch {
      throw GatewayError(.failed, what: what, why: "signals: \(error)")
    }
    name = try Self.claimName(for: request, in: runtime)
    log = MountLog(path: runtime.mountDirectory(name) + "/log")
  }

  private static func checkDirectory(_ path: String, what: String) throws(GatewayError) {
    let kind = (try? OwnedDescriptor.open(path, flags: directoryFlag)) != nil
    if !kind {
      if FileManager.default.fileExists(atPath: path) {
        throw GatewayError(
          .usage, what: what, why: "\(path) is not a directory that can be opened", advice: "name a directory")
      }
      throw GatewayError(
        .notFound, what: what, why: "the directory \(path) does not exist", advice: "make it: mkdir -p \(path)")
    }
    let canonical = (try? canonicalPath(path)) ?? path
    if (try? mountTable())?.contains(where: { $0.target == canonical }) == true {
      throw GatewayError(
        .busy, what: what, why: "something is mounted at \(path) already",
        advice: "unmount it, or name another directory")
    }
  }

  /// A name that no other mount has, taken from the source; its state directory is made.
  private static func claimName(
    for request: MountRequest, in runtime: RuntimeDirectory
  ) throws(GatewayError) -> String {
    let base: String
    if request.bus == .embedded {
      let file = request.source.split(separator: "/").last.map(String.init) ?? "disk"
      let stem = file.lastIndex(of: ".").map { String(file[..<$0]) } ?? file
      let clean = stem.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "_" }
      base = clean.isEmpty ? "disk" : String(clean.prefix(40))
    } else {
      base = String(
        request.source.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? $0 : "-" }.prefix(40))
    }
    for attempt in 1...1000 {
      let name = attempt == 1 ? base : "\(base)-\(attempt)"
      guard try runtime.claim(runtime.mountDirectory(name)) else { continue }
      try runtime.writeOwner(runtime.mountDirectory(name))
      return name
    }
    throw GatewayError(.failed, what: "mount \(request.source)", why: "a thousand mounts have this name already")
  }

  // MARK: The life of a mount

  private func run(_ report: (ProcessReport) -> Void) throws(GatewayError) {
    do throws(Errno) { try lockProcessMemory() } catch { log.write("memory can't be locked: \(error)") }
    report(.progress("connecting the bus"))
    var claims = request.bus == .hyperv ? try ControllerClaims(HyperVGuest(), in: runtime, what: what) : nil
    let bus = try openBus(claims?.claimed ?? [])
    defer { bus.close() }
    let log = log
    if let kernelBus = bus.guest as? UIOBus { log.write("memory: \(kernelBus.memoryDescription)") }
    let drivers = try DiskDrivers(bus: bus, what: what) { log.write($0) }
    defer { drivers.close() }
    try throwIfToldToEnd()
    report(.progress("finding the disk"))
    let named = try findDisk(drivers, &claims)
    let disk = named.disk
    let isReadOnly = try claim(disk)
    defer { if disk.isClaimed { try? disk.release() } }
    report(.progress("showing the disk"))
    defer { if viewDirectory != request.directory { try? removeEmptyDirectory(viewDirectory) } }
    let view = try DiskView(
      disk: disk, name: name, directory: viewDirectory, isReadOnly: isReadOnly, options: filesOptions, what: what,
      log: log)
    defer { view.close() }
    try throwIfToldToEnd()
    var record = makeRecord(bus: bus, drivers, named: named, view: view)
    try record.save(in: runtime)
    let mounted = try mountFilesystem(on: view, record: &record, isReadOnly: isReadOnly, report)
    defer { undo(mounted, at: request.directory) }
    try record.save(in: runtime)
    let control = StatusServer(path: runtime.mountDirectory(name) + "/control.sock") { [record] in
      MountStatus(
        record: record, queues: disk.controller.queueStatistics, files: view.counters, isServing: view.isServing,
        isConnected: drivers.isConnected(disk))
    }
    defer { control?.stop() }
    log.write("mounted at \(request.directory)")
    report(.ready)
    serve(until: mounted, drivers, view: view)
    log.write("ending")
  }

  /// The partition that was asked for: by its option, or behind the name of the disk.
  private var partition: Int? {
    request.partition ?? (request.bus == .embedded ? nil : DiskSelector.split(request.source)?.partition)
  }

  private var viewDirectory: String {
    request.filesystem == .none ? request.directory : runtime.diskDirectory(name)
  }

  private var workerCount: Int {
    request.workers ?? min(4, max(1, ProcessInfo.processInfo.activeProcessorCount))
  }

  private var filesOptions: DiskFSOptions {
    var options = DiskFSOptions()
    options.workerCount = workerCount
    // Pinned memory is taken at once, and nobody else has it: fewer buffers.
    if request.bus == .hyperv { options.queueDepth = Self.pinnedQueueDepth }
    return options
  }

  private static let pinnedQueueDepth = 16

  private func openBus(_ instances: Set<GUID>) throws(GatewayError) -> GatewayBus {
    var configuration: HostConfiguration?
    if request.bus == .embedded {
      var disk = DiskConfiguration(
        lun: 0, image: request.source, readOnly: request.readOnly, cache: request.cache)
      disk.format = request.format
      disk.parentDirectories = request.parentDirectories
      disk.reconnectSeconds = request.reconnectSeconds
      configuration = HostConfiguration(controllers: [
        ControllerConfiguration(id: ControllerConfiguration.defaultID(0), disks: [disk])
      ])
    }
    // Each worker has 64 buffers of a little more than 1 MiB; only what is used takes memory.
    // On the kernel's bus all of it is taken: 16 buffers, and 1 MiB of the queue itself.
    let memory = request.bus == .hyperv ? workerCount * (Self.pinnedQueueDepth + 2) + 2 : workerCount * 96 + 64
    return try GatewayBus(
      request.bus, configuration: configuration, instances: instances, memoryByteCount: memory << 20,
      reconnectSeconds: request.reconnectSeconds, what: what, log: { [log] in log.write($0) })
  }

  private func findDisk(
    _ drivers: DiskDrivers, _ claims: inout ControllerClaims?
  ) throws(GatewayError) -> NamedDisk {
    var options = StorvscOptions()
    // With one worker none, for kernels that do not get along with them.
    options.subChannelCount = request.bus == .hyperv ? workerCount - 1 : workerCount
    options.outageMilliseconds = request.reconnectSeconds * 1000
    // A host that waits for a server that is gone has not stalled.
    options.requestMilliseconds = max(options.requestMilliseconds, request.reconnectSeconds * 1000 + 60_000)
    let controllers = try drivers.openControllers(options: options, what: what)
    let disks = nameDisks(controllers)
    if request.bus == .embedded {
      guard let disk = disks.first else { throw GatewayError(.failed, what: what, why: "the bus shows no disk") }
      return disk
    }
    guard let selector = DiskSelector(splitting: request.source) else {
      throw GatewayError(
        .usage, what: what, why: "`\(request.source)` names no disk of a bus",
        advice: "write disk0, disk0p1, lun=TARGET:LUN, or serial=TEXT")
    }
    guard let all = claims else { return try selector.choose(from: disks, source: request.source) }
    let named = try all.choose(selector, from: controllers, source: request.source)
    let controller = named.disk.controller
    let reports = all.number(controllers).compactMap { numbered -> DiskReport? in
      guard case .here(let disk) = numbered.place, disk.controller === controller else { return nil }
      var report = numbered.report
      if disk === named.disk { report.mount = request.directory }
      return report
    }
    drivers.keep(only: controller.instance)
    try claims?.keep(
      only: controller.instance,
      use: DeviceUse(process: ownProcess(), purpose: "mounted at \(request.directory)", disks: reports))
    return named
  }

  /// Reserves the disk for this mount; answers whether it can only be read.
  private func claim(_ disk: StorvscDisk) throws(GatewayError) -> Bool {
    if request.readOnly { return true }
    if disk.info.isReadOnly {
      throw GatewayError(.notPermitted, what: what, why: "the disk is read-only", advice: "mount it with -o ro")
    }
    do throws(BlockError) { try disk.claim() } catch .notSupported {
      // Nobody else can have it then either.
      log.write("the host does not reserve disks")
    } catch {
      throw GatewayError(
        error == .reserved ? .busy : .failed, what: what,
        why: error == .reserved ? "another guest of the host uses the disk" : "the disk can't be reserved: \(error)",
        advice: error == .reserved ? "unmount it there, or mount it with -o ro" : "")
    }
    return false
  }

  private func mountFilesystem(
    on view: DiskView, record: inout MountRecord, isReadOnly: Bool, _ report: (ProcessReport) -> Void
  ) throws(GatewayError) -> MountedFilesystem? {
    if request.filesystem == .none {
      record.driver = "none"
      return nil
    }
    report(.progress("looking for filesystems"))
    var choice = try chooseCandidate(
      view.candidates(anything: request.filesystem != .automatic), partition: partition, source: request.source)
    if case .type(let type) = request.filesystem {
      choice.filesystem = ProbedFilesystem(type: type)
    }
    guard let filesystem = choice.filesystem, filesystem.isFilesystem else {
      throw GatewayError(
        .notFound, what: what, why: "there is no filesystem on \(choice.label)",
        advice: "use --filesystem none for the raw disk")
    }
    report(.progress("mounting \(filesystem.type)"))
    let mount = FilesystemMount(
      file: choice.file, directory: request.directory, type: filesystem.type, readOnly: isReadOnly,
      sectorSize: record.disk.sectorSize, options: request.options)
    let mounted = try mount.mount(driver: request.driver)
    record.filesystem = filesystem.type
    switch mounted {
    case .kernel(let loop):
      record.driver = "kernel"
      record.loopDevice = loop
    case .userspace: record.driver = "userspace"
    }
    return mounted
  }

  private func makeRecord(
    bus: GatewayBus, _ drivers: DiskDrivers, named: NamedDisk, view: DiskView
  ) -> MountRecord {
    let disk = DiskReport(
      named, name: name, partitions: view.partitionReports, path: viewDirectory + "/whole", mount: request.directory)
    return MountRecord(
      name: name, source: request.source, bus: request.bus.text, process: ownProcess(),
      processStart: processStartTime(ownProcess()) ?? 0, directory: request.directory, diskDirectory: viewDirectory,
      filesystem: nil, driver: "none", loopDevice: nil, disk: disk,
      devices: bus.deviceReports(open: drivers.openChannels))
  }

  /// Waits for the end: a signal, the mount gone, the user-space filesystem ended, or the files no longer served.
  private func serve(until mounted: MountedFilesystem?, _ drivers: DiskDrivers, view: DiskView) {
    guard let table = try? OwnedDescriptor.open("/proc/self/mountinfo", flags: 0) else { return }
    let canonical = (try? canonicalPath(request.directory)) ?? request.directory
    var others = [signals.descriptor, drivers.noticeDescriptor]
    if case .userspace(let process) = mounted { others.append(process.descriptor) }
    while true {
      let ready = waitForMountChange(table.number, or: others, milliseconds: 10_000)
      if ready & 2 != 0, signals.next() != nil { return }
      if ready & 8 != 0 { return }
      if drivers.handleNotices() { view.deviceChanged() }
      if (try? mountTable())?.contains(where: { $0.target == canonical }) != true { return }
      if !view.isServing { return }
    }
  }

  /// Unmounts the filesystem. One that is in use when a signal ends this process is detached, and its users see errors
  /// afterwards; what they have written until then is on the disk.
  private func undo(_ mounted: MountedFilesystem?, at directory: String) {
    guard let mounted else { return }
    let canonical = (try? canonicalPath(directory)) ?? directory
    var isDetached = false
    if (try? mountTable())?.contains(where: { $0.target == canonical }) == true {
      try? syncFilesystem(at: canonical)
      do throws(Errno) { try unmountFilesystem(canonical) } catch {
        log.write("\(directory) is busy: detached")
        try? unmountFilesystem(canonical, lazily: true)
        isDetached = true
      }
    }
    switch mounted {
    case .kernel(let loop): waitUntilFree(loop: loop, milliseconds: isDetached ? 10_000 : nil)
    case .userspace(let process):
      if !process.hasEnded(waiting: 10_000) {
        process.send(signal: 15)
        if !process.hasEnded(waiting: 5_000) { process.send(signal: 9) }
      }
      _ = process.exitCode()
    }
  }

  /// Waits until the kernel has written everything and let go of the loop device, so that the files can go; at most
  /// `milliseconds`, or without limit: another mount namespace may still have the filesystem, and write to it.
  private func waitUntilFree(loop: String, milliseconds: Int?) {
    let backing = "/sys/block/\(loop.split(separator: "/").last ?? "")/loop/backing_file"
    let start = monotonicNanoseconds()
    while let file = try? readTextFile(backing), file.hasPrefix(viewDirectory) {
      let waited = (monotonicNanoseconds() - start) / 1_000_000
      if let milliseconds, waited >= milliseconds {
        return log.write("\(loop) is still in use; its users see errors from now on")
      }
      _ = waitForInput([], milliseconds: waited < 1000 ? 10 : 200)
    }
  }

  private func throwIfToldToEnd() throws(GatewayError) {
    guard signals.next() != nil else { return }
    throw GatewayError(.failed, what: what, why: "interrupted")
  }
}

/// O_DIRECTORY | O_PATH would not need the read permission, but the mount does not either: only the type counts.
#if arch(arm64)
  private let directoryFlag: Int32 = 0o40000
#else
  private let directoryFlag: Int32 = 0o200000
#endif
