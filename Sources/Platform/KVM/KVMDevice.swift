import CKVM
public import LinuxIO

/// What this machine's kernel can do for virtual machines: an open /dev/kvm.
public final class KVMDevice: Sendable {
  let owned: OwnedDescriptor

  /// Opens the device and checks that it can run guests of Hyper-V.
  ///
  /// - Throws: `.missing`, `.notPermitted`, `.lacks`.
  public init(path: String = "/dev/kvm") throws(KVMError) {
    do throws(Errno) {
      // SAFETY: the string is null-terminated during the call.
      owned = try unsafe OwnedDescriptor(adopting: check(synthgate_kvm_open(path)))
    } catch {
      switch error {
      case .EACCES, .EPERM: throw .notPermitted(path)
      default: throw .missing(path, error)
      }
    }
    guard synthgate_kvm_api_version(owned.number) == 12 else { throw .lacks(["the stable API, version 12"]) }
    let needed: [(synthgate_kvm_capability, String)] = [
      (synthgate_kvm_hyperv_synic2, "Hyper-V's interrupt controller (KVM_CAP_HYPERV_SYNIC2)"),
      (synthgate_kvm_hyperv_vp_index, "Hyper-V's processor numbers (KVM_CAP_HYPERV_VP_INDEX)"),
      (synthgate_kvm_hyperv_eventfd, "Hyper-V's signals (KVM_CAP_HYPERV_EVENTFD)"),
      (synthgate_kvm_hyperv_enforce_cpuid, "Hyper-V's feature checks (KVM_CAP_HYPERV_ENFORCE_CPUID)"),
      (synthgate_kvm_irqfd_resample, "acknowledged interrupts (KVM_CAP_IRQFD_RESAMPLE)"),
      (synthgate_kvm_readonly_memory, "read-only memory (KVM_CAP_READONLY_MEM)"),
    ]
    let lacking = needed.filter { synthgate_kvm_check(owned.number, $0.0) <= 0 }.map(\.1)
    guard lacking.isEmpty else { throw .lacks(lacking) }
  }

  /// The most processors of a machine.
  public var maximumProcessorCount: Int {
    Int(max(1, synthgate_kvm_check(owned.number, synthgate_kvm_max_vcpus)))
  }

  /// The CPUID leaves that guests can have.
  ///
  /// - Throws: `.failed`.
  public func supportedLeaves() throws(KVMError) -> [CPUIDLeaf] {
    var raw = [synthgate_kvm_leaf](repeating: synthgate_kvm_leaf(), count: 256)
    // SAFETY: the call fills at most as many entries as the array has.
    let count = unsafe synthgate_kvm_supported_leaves(owned.number, &raw, Int32(raw.count))
    guard count >= 0 else { throw .failed("asking for CPUID", Errno(rawValue: -count)) }
    return raw.prefix(Int(count)).map(CPUIDLeaf.init)
  }
}

/// Why there is no virtual machine.
public enum KVMError: Error, Sendable, CustomStringConvertible {
  /// There is no device.
  case missing(String, Errno)
  /// The device may not be opened.
  case notPermitted(String)
  /// The kernel lacks these.
  case lacks([String])
  /// The kernel refused a step.
  case failed(String, Errno)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .missing(let path, let errno): "no KVM on this machine (\(path): \(errno))"
    case .notPermitted(let path): "\(path) may not be opened by this user; join its group, or be root"
    case .lacks(let what): "this machine's KVM lacks \(what.joined(separator: "; "))"
    case .failed(let what, let errno): "\(what): \(errno)"
    }
  }
}

/// What CPUID answers for one function.
public struct CPUIDLeaf: Equatable, Sendable {
  /// EAX of the question.
  public var function: UInt32
  /// ECX of the question, where it counts.
  public var index: UInt32
  /// Whether `index` counts.
  public var isIndexed: Bool
  /// The answer.
  public var eax: UInt32
  /// The answer.
  public var ebx: UInt32
  /// The answer.
  public var ecx: UInt32
  /// The answer.
  public var edx: UInt32

  /// An answer that does not depend on ECX.
  public init(_ function: UInt32, eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0, edx: UInt32 = 0) {
    self.function = function
    index = 0
    isIndexed = false
    self.eax = eax
    self.ebx = ebx
    self.ecx = ecx
    self.edx = edx
  }

  init(_ raw: synthgate_kvm_leaf) {
    function = raw.function
    index = raw.index
    isIndexed = raw.is_indexed != 0
    eax = raw.eax
    ebx = raw.ebx
    ecx = raw.ecx
    edx = raw.edx
  }

  var raw: synthgate_kvm_leaf {
    synthgate_kvm_leaf(
      function: function, index: index, is_indexed: isIndexed ? 1 : 0, eax: eax, ebx: ebx, ecx: ecx, edx: edx)
  }
}
