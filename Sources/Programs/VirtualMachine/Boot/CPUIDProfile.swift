import KVM

/// What CPUID answers in a guest: the machine's own features, and those of Hyper-V in place of KVM's.
///
/// Source: Hypervisor Top-Level Functional Specification, chapter 2; Linux arch/x86/kernel/cpu/mshyperv.c for what a guest
/// insists on. KVM enforces the list: a feature that is not told here does not work.
enum CPUIDProfile {
  /// The leaves of processor `index` of `count`.
  static func leaves(supported: [CPUIDLeaf], processor index: Int, of count: Int) -> [CPUIDLeaf] {
    let own = supported.filter { !(0x4000_0000...0x4FFF_FFFF).contains($0.function) }
    return own.map { machine($0, processor: UInt32(index), of: UInt32(count)) } + hyperV(processorCount: count)
  }

  private static func machine(_ leaf: CPUIDLeaf, processor: UInt32, of count: UInt32) -> CPUIDLeaf {
    var leaf = leaf
    switch leaf.function {
    case 1:
      leaf.ebx = leaf.ebx & 0xFFFF | count << 16 | processor << 24
      // A hypervisor is present; the timer of the local APIC takes deadlines.
      leaf.ecx |= 1 << 31 | 1 << 24
      if count > 1 { leaf.edx |= 1 << 28 }
    case 0xB, 0x1F: leaf.edx = processor
    default: break
    }
    return leaf
  }

  private static func hyperV(processorCount: Int) -> [CPUIDLeaf] {
    [
      // The highest leaf, and "Microsoft Hv".
      CPUIDLeaf(0x4000_0000, eax: 0x4000_0006, ebx: 0x7263_694D, ecx: 0x666F_736F, edx: 0x7648_2074),
      // "Hv#1": with it KVM's own Hyper-V code is switched on.
      CPUIDLeaf(0x4000_0001, eax: 0x3123_7648),
      CPUIDLeaf(0x4000_0002, eax: 19045, ebx: 10 << 16),
      CPUIDLeaf(0x4000_0003, eax: features, ebx: privileges, edx: 1 << 8 | 1 << 10 | 1 << 19),
      // Hints: relaxed timing, no automatic end of interrupt; spinning is never told.
      CPUIDLeaf(0x4000_0004, eax: 1 << 5 | 1 << 9, ebx: 0xFFFF_FFFF),
      CPUIDLeaf(0x4000_0005, eax: UInt32(max(64, processorCount)), ebx: 64),
      CPUIDLeaf(0x4000_0006),
    ]
  }

  /// Run time of processors (bit 0), reference counter (1), SynIC (2), its timers (3), APIC registers (4: the assist page
  /// needs it), hypercalls (5), processor numbers (6), reset (7), reference TSC (9), frequencies (11).
  private static let features: UInt32 = 0xAFF

  /// Post messages (4), signal events (5).
  private static let privileges: UInt32 = 1 << 4 | 1 << 5
}
