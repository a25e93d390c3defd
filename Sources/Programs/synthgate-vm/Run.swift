import ArgumentParser
import KVM
import LinuxIO
import Synchronization
import SyntheticHost
import VMBusServer
import VirtualMachine

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Boot a kernel.")

  @Option(help: "The kernel: a bzImage.")
  var kernel: String

  @Option(help: "The initial RAM disk.")
  var initrd: String?

  @Option(help: "More for the kernel's command line, after `console=ttyS0 panic=-1`.")
  var append = ""

  @Option(help: "A host.yaml with controllers and networks; --disk and --nic add to it.")
  var config: String?

  @Option(help: "A disk image on the first controller. Once or more.")
  var disk: [String] = []

  @Option(help: "A NIC with this uplink: \(Uplink.forms). Once or more.")
  var nic: [String] = []

  @Option(help: "Memory in MiB.")
  var memory = 512

  @Option(help: "Virtual processors.")
  var cpus = 1

  @Option(help: "Which channels get monitor ids: all or none. uio_hv_generic of Linux before 6.10 needs them.")
  var monitor = MonitorChoice.none

  @Option(help: "A Unix socket at which the host takes commands; see `synthgate-vm ctl`.")
  var control: String?

  @Flag(help: "Let the guest, too, give such commands, as lines at its second serial port (ttyS1).")
  var guestControl = false

  @Flag(help: "Tell on standard error what happens on the bus.")
  var verbose = false

  enum MonitorChoice: String, ExpressibleByArgument, CaseIterable {
    case all, none
  }

  func run() throws {
    var settings = VMBusServer.Settings()
    settings.limits.allocatesMonitors = monitor == .all
    let isVerbose = verbose
    settings.onEvent = { event in
      if isVerbose, let line = event.logLine { writeError("synthgate-vm: \(line)") }
    }
    let signals = try orFail { () throws(Errno) in try SignalQueue([2, 15]) }
    let offered = try hostConfiguration()
    let clock = GuestClock()
    let host: SyntheticHost
    do throws(SyntheticHostError) {
      host = try SyntheticHost(offered, settings: settings, referenceTime: { clock.now }) { line in
        writeError("synthgate-vm: \(line)")
      }
      if let control { try host.takeCommands(at: control) }
    } catch {
      throw Failure(code: 1, text: "\(error)")
    }
    defer { host.stop() }
    let exitChoice = ExitChoice()
    let mayCommand = guestControl
    let machine: VirtualMachine
    do throws(MachineError) {
      machine = try VirtualMachine(machineConfiguration, server: host.server) { byte in
        try? writeAll([byte], to: 1)
      } command: { line in
        if let code = ExitChoice.code(in: line) {
          exitChoice.set(code)
          return "ok"
        }
        guard mayCommand else { return "error the host takes no commands of the guest (--guest-control)" }
        return host.perform(command: line)
      }
    } catch {
      throw Failure(error)
    }
    clock.machine.withLock { $0 = machine }
    let outcome = try serve(machine, host: host, signals: signals)
    clock.machine.withLock { $0 = nil }
    try finish(outcome, chosen: exitChoice.value)
  }

  private var machineConfiguration: MachineConfiguration {
    var machine = MachineConfiguration(kernel: kernel)
    machine.initrd = initrd
    machine.commandLine = "console=ttyS0 panic=-1" + (append.isEmpty ? "" : " " + append)
    machine.memoryByteCount = memory << 20
    machine.processorCount = cpus
    return machine
  }

  /// What the host offers: the file, and what was added by arguments.
  private func hostConfiguration() throws -> HostConfiguration {
    var host = HostConfiguration()
    if let config {
      do throws(ConfigurationError) { host = try HostConfiguration(contentsOf: config) } catch {
        throw Failure(code: 2, text: "configuration: \(error)")
      }
      host.listen = nil
    }
    if !disk.isEmpty {
      if host.controllers.isEmpty {
        host.controllers = [ControllerConfiguration(id: ControllerConfiguration.defaultID(0), disks: [])]
      }
      for image in disk {
        let taken = Set(host.controllers[0].disks.filter { $0.target == 0 }.map(\.lun))
        guard let lun = (0...63).first(where: { !taken.contains($0) }) else {
          throw Failure(code: 2, text: "--disk: a controller has 64 disks at most")
        }
        host.controllers[0].disks.append(DiskConfiguration(lun: lun, image: image))
      }
    }
    for text in nic {
      guard let uplink = Uplink(text) else {
        throw Failure(code: 2, text: "--nic: `\(text)` is none of \(Uplink.forms)")
      }
      if let problem = uplink.problem { throw Failure(code: 2, text: "--nic: \(problem)") }
      let index = host.networks.count
      host.networks.append(
        NetworkConfiguration(
          id: NetworkConfiguration.defaultID(index), mac: NetworkConfiguration.defaultAddress(index), uplink: uplink))
    }
    if host.services.isEmpty { host.services = Set(ServiceChoice.allCases) }
    return host
  }

  /// Runs the machine until it ends. The first signal asks the guest to shut down, if it listens; the next one pulls the plug.
  private func serve(
    _ machine: VirtualMachine, host: SyntheticHost, signals: SignalQueue
  ) throws -> MachineOutcome {
    let terminal = isTerminalDescriptor(0) ? try? RawTerminal(descriptor: 0) : nil
    defer { terminal?.restore() }
    do throws(MachineError) { try machine.start() } catch {
      machine.stop()
      _ = machine.wait()
      throw Failure(error)
    }
    var keys = ConsoleKeys(hasEscape: terminal != nil)
    var isInputOpen = true
    var isAsked = false
    while true {
      let descriptors = [machine.endDescriptor, signals.descriptor] + (isInputOpen ? [0] : [])
      let ready = waitForInput(descriptors, milliseconds: -1)
      if ready & 1 != 0 { break }
      if ready & 2 != 0, signals.next() != nil {
        if isAsked || host.perform(command: "shutdown") != "ok" { machine.stop() }
        isAsked = true
      }
      if ready & 4 != 0 {
        let bytes = (try? readAvailable(0)) ?? []
        if bytes.isEmpty { isInputOpen = false }
        let (typed, ends) = keys.take(bytes)
        if !typed.isEmpty { machine.type(typed) }
        if ends { machine.stop() }
      }
    }
    return machine.wait()
  }

  private func finish(_ outcome: MachineOutcome, chosen: Int32?) throws {
    switch outcome {
    case .poweredOff:
      if let chosen, chosen != 0 { endProcess(chosen) }
    case .reset: throw Failure(code: 71, text: "the guest has reset itself")
    case .crashed(let how): throw Failure(code: 70, text: "the guest has crashed: \(how)")
    case .failed(let why): throw Failure(code: 1, text: "the machine stopped: \(why)")
    case .stopped: throw Failure(code: 1, text: "stopped before the guest had switched itself off")
    }
  }
}

/// The clock of a machine that is made after the host which tells its guest the time.
final class GuestClock: Sendable {
  let machine = Mutex<VirtualMachine?>(nil)

  var now: UInt64 { machine.withLock { $0?.referenceTime ?? 0 } }
}

/// The exit code that a guest has chosen.
final class ExitChoice: Sendable {
  private let chosen = Mutex<Int32?>(nil)

  var value: Int32? { chosen.withLock { $0 } }

  func set(_ code: Int32) {
    chosen.withLock { $0 = code }
  }

  /// The code in a line `exit N`, 0 to 255.
  static func code(in line: String) -> Int32? {
    let words = line.split(separator: " ")
    guard words.count == 2, words[0] == "exit", let code = Int32(words[1]), (0...255).contains(code) else { return nil }
    return code
  }
}

/// What is typed, less the escape (Ctrl-A x ends the machine, Ctrl-A Ctrl-A is Ctrl-A).
struct ConsoleKeys {
  let hasEscape: Bool
  private var isEscaped = false

  init(hasEscape: Bool) {
    self.hasEscape = hasEscape
  }

  mutating func take(_ bytes: [UInt8]) -> (typed: [UInt8], ends: Bool) {
    guard hasEscape else { return (bytes, false) }
    var typed: [UInt8] = []
    for byte in bytes {
      if isEscaped {
        isEscaped = false
        if byte == UInt8(ascii: "x") { return (typed, true) }
        typed.append(byte)
      } else if byte == 1 {
        isEscaped = true
      } else {
        typed.append(byte)
      }
    }
    return (typed, false)
  }
}

extension Failure {
  /// A machine that can't run, with what to do where KVM can't do it.
  init(_ error: MachineError) {
    let nested =
      "; where KVM can't, the nested run does it in emulation: see docs/testing.md (appliance/test --hyperv-guest)"
    switch error {
    case .kvm(.missing), .kvm(.lacks): self.init(code: 3, text: "\(error)\(nested)")
    case .kvm(.notPermitted): self.init(code: 4, text: "\(error)")
    case .image, .configuration: self.init(code: 2, text: "\(error)")
    case .kvm, .host, .system: self.init(code: 1, text: "\(error)")
    }
  }
}

private func orFail<R>(_ body: () throws(Errno) -> R) throws -> R {
  do throws(Errno) { return try body() } catch { throw Failure(code: 1, text: "\(error)") }
}
