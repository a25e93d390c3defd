public import KVM
public import LinuxIO
public import SyntheticHost

/// Why a virtual machine can't run.
public enum MachineError: Error, Sendable, CustomStringConvertible {
  /// KVM can't do it here.
  case kvm(KVMError)
  /// A kernel or initial RAM disk can't be used.
  case image(String, String)
  /// The machine is described in a way that makes no sense.
  case configuration(String)
  /// The synthetic host can't run.
  case host(SyntheticHostError)
  /// The system refused a step.
  case system(String, Errno)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .kvm(let error): "\(error)"
    case .image(let path, let problem): "\(path): \(problem)"
    case .configuration(let problem): problem
    case .host(let error): "\(error)"
    case .system(let what, let errno): "\(what): \(errno)"
    }
  }
}
