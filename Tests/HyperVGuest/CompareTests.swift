import Testing

extension NestedEndToEndTests {
  /// The kernel's drivers and ours under the same load, in one guest. Figures are in docs/benchmarks.md; here only what holds
  /// on a busy machine, too.
  @Suite(.serialized) struct Compare {
    @Test("Both carry the load", arguments: [GuestKernel.linux6_1])
    func load(kernel: GuestKernel) throws {
      try expect(
        "drivers", "kernel-disk-1", "our-disk-1", "kernel-link-1", "our-link-1", of: .compare, on: kernel)
    }

    @Test("At depth 32 ours keeps up, and leaves the guest less often", arguments: [GuestKernel.linux6_1])
    func ratio(kernel: GuestKernel) throws {
      try expect("our-rate", "our-exits", of: .compare, on: kernel)
    }
  }
}
