import KVM
import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol
public import VMBusServer
import WireBytes

/// What a machine is made of.
public struct MachineConfiguration: Sendable {
  /// Path of the kernel, a bzImage.
  public var kernel: String
  /// Path of the initial RAM disk; nil for none.
  public var initrd: String?
  /// The kernel's command line.
  public var commandLine = ""
  /// Memory in bytes.
  public var memoryByteCount = 512 << 20
  /// Virtual processors.
  public var processorCount = 1

  /// A machine that starts `kernel`.
  public init(kernel: String) {
    self.kernel = kernel
  }
}

/// A virtual machine on KVM whose guest believes that it runs on Hyper-V; its devices come from a synthetic host.
public final class VirtualMachine: Sendable {
  private let guest: HypervisorGuest
  private let hypervisor: MachineHypervisor
  private let processors: [MachineProcessor]
  private let end: MachineEnd
  private let console: SerialPort
  private let commands: GuestCommandPort
  private let machine: KVMMachine
  private let runningCount = Atomic<Int>(0)
  private let threads = Mutex<[WorkerThread]>([])

  /// The most virtual processors of a machine.
  public static let maximumProcessorCount = 16

  /// Loads the kernel and attaches the guest to the host; nothing runs yet.
  ///
  /// - Parameters:
  ///   - server: the host's bus, to which the guest is attached.
  ///   - transmit: takes what the guest writes to its first serial port, on the threads of its processors.
  ///   - command: takes a line that the guest writes to its second serial port, and answers a line; on a thread of its own.
  /// - Throws: any `MachineError`.
  public init(
    _ configuration: MachineConfiguration, server: VMBusServer, transmit: @escaping @Sendable (UInt8) -> Void,
    command: @escaping @Sendable (String) -> String
  ) throws(MachineError) {
    let count = configuration.processorCount
    let device = try onKVM { () throws(KVMError) in try KVMDevice() }
    let maximum = min(device.maximumProcessorCount, Self.maximumProcessorCount)
    guard count >= 1, count <= maximum else {
      throw .configuration("a machine has 1 to \(maximum) processors, not \(count)")
    }
    guard configuration.memoryByteCount % pageByteCount == 0, configuration.memoryByteCount >= 64 << 20,
      configuration.memoryByteCount <= MachineLayout.maximumMemory
    else {
      throw .configuration("a machine has 64 to \(MachineLayout.maximumMemory >> 20) MiB of memory")
    }
    let kernel = try LinuxKernel(path: configuration.kernel)
    let machine = try onKVM { () throws(KVMError) in try KVMMachine(device) }
    let memory = try GuestRAM(byteCount: configuration.memoryByteCount, machine: machine)
    try kernel.load(into: memory.slice, initrd: configuration.initrd, commandLine: configuration.commandLine)
    for piece in ACPITables(processorCount: count, serialPortCount: MachineLayout.Port.serial.count).pieces {
      memory.slice.copyIn(piece.bytes.rawSpan, at: Int(piece.address))
    }
    let virtual = try Self.makeProcessors(count, of: machine, device: device, entry: kernel.entry)
    let sints = try onLinux("events of the machine") { () throws(Errno) in
      var sints: [(raise: EventFD, handled: EventFD)] = []
      for _ in 0..<count { sints.append((try EventFD(), try EventFD())) }
      return sints
    }
    try onKVM { () throws(KVMError) in try machine.routeInterrupts(sint: SynIC.vmbusSINT, sints: sints) }
    let end = try onLinux("events of the machine") { () throws(Errno) in try MachineEnd() }
    let commands = try onLinux("the second serial port") { () throws(Errno) in try GuestCommandPort(command) }
    let gate = ProcessorGate(processors: virtual)
    let hypervisor = MachineHypervisor(machine: machine, memory: memory, gate: gate, sints: sints) { why in
      end.decide(.failed(why))
    }
    let guest = try onLinux("attaching the guest to its host") { () throws(Errno) in
      try server.attach(memory: [memory.shared], processorCount: count, hypervisor: hypervisor)
    }
    let console = SerialPort(
      setLine: { machine.setLine(MachineLayout.Port.serial[0].line, isHigh: $0) }, transmit: transmit)
    let second = SerialPort(
      setLine: { machine.setLine(MachineLayout.Port.serial[1].line, isHigh: $0) },
      transmit: { commands.receive($0) })
    commands.connect(to: second)
    let ports = PortSpace(serial: [console, second])
    processors = virtual.map { processor in
      MachineProcessor(
        processor: processor, gate: gate, ports: ports, memory: memory.shared.memory, guest: guest, end: end)
    }
    self.machine = machine
    self.guest = guest
    self.hypervisor = hypervisor
    self.end = end
    self.console = console
    self.commands = commands
  }

  private static func makeProcessors(
    _ count: Int, of machine: KVMMachine, device: KVMDevice, entry address: UInt64
  ) throws(MachineError) -> [VirtualProcessor] {
    try onKVM { () throws(KVMError) in
      let supported = try device.supportedLeaves()
      var processors: [VirtualProcessor] = []
      for index in 0..<count {
        let processor = try VirtualProcessor(index, of: machine)
        try processor.setLeaves(CPUIDProfile.leaves(supported: supported, processor: index, of: count))
        var entry = VirtualProcessor.Entry()
        entry.instruction = address
        entry.bootParameters = MachineLayout.bootParameters
        entry.stack = MachineLayout.stack
        entry.pageTable = MachineLayout.pageTables
        entry.descriptorTable = (MachineLayout.descriptorTable, LinuxKernel.descriptorTableLimit)
        entry.selectors = LinuxKernel.selectors
        try processor.prepare(index == 0 ? entry : nil)
        processors.append(processor)
      }
      return processors
    }
  }

  // MARK: Running

  /// Starts the processors.
  ///
  /// - Throws: `.system` when there are no threads; `stop` and `wait` are to be called nevertheless.
  public func start() throws(MachineError) {
    try onLinux("threads of the machine") { () throws(Errno) in
      let acknowledging = try WorkerThread(name: "vm-sint") { [self] in watchInterrupts() }
      threads.withLock { $0.append(acknowledging) }
      for processor in processors {
        runningCount.add(1, ordering: .relaxed)
        do throws(Errno) {
          let thread = try WorkerThread(name: "vm-cpu\(processor.processor.index)") { [self] in
            processor.run()
            runningCount.subtract(1, ordering: .releasing)
          }
          threads.withLock { $0.append(thread) }
        } catch {
          runningCount.subtract(1, ordering: .relaxed)
          throw error
        }
      }
    }
  }

  /// Readable when the machine has ended: call `wait` then.
  public var endDescriptor: Int32 { end.descriptor }

  /// The guest's reference counter, in units of 100 ns.
  public var referenceTime: UInt64 { machine.referenceTime }

  /// Gives the guest input at its first serial port.
  public func type(_ bytes: [UInt8]) {
    console.receive(bytes)
  }

  /// Ends the machine at once, as if its plug were pulled.
  public func stop() {
    end.decide(.stopped)
  }

  /// Waits until the machine has ended, and everything of it. Once.
  public func wait() -> MachineOutcome {
    _ = waitForInput([end.descriptor], milliseconds: -1)
    while runningCount.load(ordering: .acquiring) > 0 {
      for processor in processors {
        processor.processor.setImmediateExit(true)
        processor.processor.kick()
      }
      sleepThread(nanoseconds: 2_000_000)
    }
    for thread in threads.withLock({ $0 }) { thread.join() }
    commands.close()
    let outcome = end.value ?? .stopped
    guest.end(reason: "the machine has ended")
    return outcome
  }

  /// Hands on that the guest has handled interrupts, until the machine ends.
  private func watchInterrupts() {
    let handled = hypervisor.sints.map(\.handled)
    let descriptors = handled.map(\.descriptor) + [end.descriptor]
    while !end.isDecided {
      let ready = waitForInput(descriptors, milliseconds: -1)
      for (vp, event) in handled.enumerated() where ready & 1 << UInt32(vp) != 0 {
        event.drain()
        guest.interruptHandled(vp: vp)
      }
    }
  }
}

/// Runs what may fail in KVM.
private func onKVM<R>(_ body: () throws(KVMError) -> R) throws(MachineError) -> R {
  do throws(KVMError) { return try body() } catch { throw .kvm(error) }
}

/// Runs what the system may refuse.
private func onLinux<R>(_ what: String, _ body: () throws(Errno) -> R) throws(MachineError) -> R {
  do throws(Errno) { return try body() } catch { throw .system(what, error) }
}
