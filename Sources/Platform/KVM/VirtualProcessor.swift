import CKVM
import LinuxIO
import Synchronization

/// Why a processor has left the guest.
public enum ProcessorExit: Equatable, Sendable {
  /// Kicked, or interrupted by a signal.
  case interrupted
  /// An access to `count` values of `size` bytes at an I/O port: see `portValue`, `answerPort`.
  case port(UInt16, size: Int, count: Int, isWrite: Bool)
  /// A read of `size` bytes of memory that is not there: see `answerMemory`.
  case memoryRead(address: UInt64, size: Int)
  /// A write to memory that is not there, or that is read-only; the value is little-endian.
  case memoryWrite(address: UInt64, size: Int, value: UInt64)
  /// The guest has written a register of its SynIC; these are the values of three now.
  case synic(control: UInt64, eventFlagPage: UInt64, messagePage: UInt64)
  /// A hypercall: see `answerHypercall`.
  case hypercall(input: UInt64, UInt64, UInt64)
  /// A triple fault.
  case shutdown
  /// The guest asked for an end by a register of the hypervisor.
  case event(SystemEvent)
  /// Anything else, with the kernel's numbers: the guest can't go on.
  case other(reason: UInt64, detail: UInt64)

  /// What a guest tells by Hyper-V's registers.
  public enum SystemEvent: Equatable, Sendable {
    /// Power off.
    case shutdown
    /// Reset.
    case reset
    /// The guest has crashed.
    case crash
  }
}

/// A processor of a machine. One thread runs it; `kick` and `stop` may be called from anywhere.
@safe public final class VirtualProcessor: Sendable {
  /// Number of the processor: VP index and APIC id.
  public let index: Int
  private let machine: KVMMachine
  private let owned: OwnedDescriptor
  // SAFETY: written once in init; mapped until deinit. The kernel and the running thread use it in turns; the one byte that
  // other threads write is accessed atomically in C.
  private nonisolated(unsafe) let runArea: UnsafeMutableRawPointer
  private let runAreaByteCount: Int
  private let thread = Atomic<Int32>(0)

  /// Processor `index` with its SynIC.
  ///
  /// - Throws: `.failed`.
  public init(_ index: Int, of machine: KVMMachine) throws(KVMError) {
    self.index = index
    self.machine = machine
    var area: UnsafeMutableRawPointer?
    do throws(Errno) {
      runAreaByteCount = Int(try check(synthgate_kvm_run_area_size(machine.device.owned.number)))
      // SAFETY: the call fills a local value.
      owned = try unsafe OwnedDescriptor(
        adopting: check(
          synthgate_kvm_create_processor(machine.owned.number, UInt32(index), runAreaByteCount, &area)))
    } catch {
      throw .failed("creating processor \(index)", error)
    }
    // SAFETY: set by the call above, which succeeded.
    unsafe runArea = area!
  }

  deinit {
    // SAFETY: mapped by init; no thread runs the processor any more.
    unsafe synthgate_kvm_unmap_run_area(runArea, runAreaByteCount)
  }

  // MARK: Before it runs

  /// Where a processor starts, in 64-bit mode; addresses are guest physical.
  public struct Entry: Sendable {
    /// The first instruction.
    public var instruction: UInt64 = 0
    /// RSI: where Linux finds its boot parameters.
    public var bootParameters: UInt64 = 0
    /// The top of the stack.
    public var stack: UInt64 = 0
    /// The page table (CR3).
    public var pageTable: UInt64 = 0
    /// The global descriptor table, and its length less one.
    public var descriptorTable: (address: UInt64, limit: UInt16) = (0, 0)
    /// The selectors of code and data in it.
    public var selectors: (code: UInt16, data: UInt16) = (0, 0)

    /// All zero.
    public init() {}
  }

  /// Sets what CPUID answers, and with it which features of Hyper-V the guest may use.
  ///
  /// - Throws: `.failed`.
  public func setLeaves(_ leaves: [CPUIDLeaf]) throws(KVMError) {
    let raw = leaves.map(\.raw)
    // SAFETY: the array is read during the call.
    let status = unsafe synthgate_kvm_set_leaves(owned.number, raw, Int32(raw.count))
    if status < 0 { throw .failed("setting CPUID of processor \(index)", Errno(rawValue: -status)) }
  }

  /// Makes the processor start at `entry`; nil: it waits until the guest starts it.
  ///
  /// - Throws: `.failed`.
  public func prepare(_ entry: Entry?) throws(KVMError) {
    var status: Int32 = 0
    if let entry {
      var raw = synthgate_kvm_entry(
        instruction: entry.instruction, boot_parameters: entry.bootParameters, stack: entry.stack,
        page_table: entry.pageTable, descriptor_table: entry.descriptorTable.address,
        descriptor_table_limit: entry.descriptorTable.limit, code_selector: entry.selectors.code,
        data_selector: entry.selectors.data)
      // SAFETY: a local value is read during the call.
      status = unsafe synthgate_kvm_set_entry(owned.number, &raw)
    }
    if status >= 0 { status = synthgate_kvm_prepare(owned.number, entry == nil ? 0 : 1) }
    if status < 0 { throw .failed("preparing processor \(index)", Errno(rawValue: -status)) }
  }

  // MARK: On its thread

  /// Lets `kick` reach the calling thread, which is the one that runs the processor from now on.
  public func claimThread() throws(KVMError) {
    let id = synthgate_kvm_accept_kicks()
    if id < 0 { throw .failed("preparing the thread of processor \(index)", Errno(rawValue: -id)) }
    thread.store(id, ordering: .releasing)
  }

  /// Runs the guest until it needs something.
  ///
  /// - Throws: `.failed`.
  public func run() throws(KVMError) -> ProcessorExit {
    var exit = synthgate_kvm_exit()
    // SAFETY: the run area belongs to this thread outside the call; `exit` is a local value.
    let status = unsafe synthgate_kvm_run(owned.number, runArea, &exit)
    if status < 0 { throw .failed("running processor \(index)", Errno(rawValue: -status)) }
    let size = Int(exit.size)
    switch synthgate_kvm_exit_kind(exit.kind) {
    case synthgate_kvm_exit_interrupted: return .interrupted
    case synthgate_kvm_exit_port:
      return .port(
        UInt16(truncatingIfNeeded: exit.address), size: size, count: Int(exit.count), isWrite: exit.is_write != 0)
    case synthgate_kvm_exit_memory:
      guard exit.is_write != 0 else { return .memoryRead(address: exit.address, size: size) }
      let mask = size >= 8 ? UInt64.max : (1 << UInt64(size * 8)) - 1
      return .memoryWrite(address: exit.address, size: size, value: exit.value.0 & mask)
    case synthgate_kvm_exit_synic:
      return .synic(control: exit.value.0, eventFlagPage: exit.value.1, messagePage: exit.value.2)
    case synthgate_kvm_exit_hypercall: return .hypercall(input: exit.value.0, exit.value.1, exit.value.2)
    case synthgate_kvm_exit_shutdown: return .shutdown
    case synthgate_kvm_exit_event where exit.address == 1: return .event(.shutdown)
    case synthgate_kvm_exit_event where exit.address == 2: return .event(.reset)
    case synthgate_kvm_exit_event where exit.address == 3: return .event(.crash)
    default: return .other(reason: exit.address, detail: exit.value.0)
    }
  }

  /// Value `index` of a port exit that writes.
  public func portValue(_ index: Int) -> UInt32 {
    // SAFETY: the run area belongs to this thread; the kernel left `count` values in it.
    unsafe synthgate_kvm_port_value(runArea, UInt32(index))
  }

  /// Answers value `index` of a port exit that reads.
  public func answerPort(_ index: Int, _ value: UInt32) {
    // SAFETY: as above.
    unsafe synthgate_kvm_set_port_value(runArea, UInt32(index), value)
  }

  /// Answers a memory exit that reads.
  public func answerMemory(_ value: UInt64) {
    // SAFETY: the run area belongs to this thread.
    unsafe synthgate_kvm_set_memory_value(runArea, value)
  }

  /// Answers a hypercall with the status in the low 16 bits.
  public func answerHypercall(_ result: UInt64) {
    // SAFETY: the run area belongs to this thread.
    unsafe synthgate_kvm_set_hypercall_result(runArea, result)
  }

  /// Whether the next `run` returns at once.
  public func setImmediateExit(_ isOn: Bool) {
    // SAFETY: one byte, stored atomically; the kernel only reads it.
    unsafe synthgate_kvm_set_immediate_exit(runArea, isOn ? 1 : 0)
  }

  // MARK: From any thread

  /// Makes the processor leave the guest, if it is in it. Set `setImmediateExit` before, or it may enter again.
  public func kick() {
    let id = thread.load(ordering: .acquiring)
    if id > 0 { _ = synthgate_kvm_kick(id) }
  }
}
