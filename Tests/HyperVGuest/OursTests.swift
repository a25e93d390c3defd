import Testing

extension NestedEndToEndTests {
  /// Synthgate in the guest, through uio_hv_generic.
  @Suite(.serialized) struct Ours {
    @Test("Devices are listed, taken from the kernel's drivers and given back", arguments: GuestKernel.allCases)
    func attach(kernel: GuestKernel) throws {
      try expect("drivers", "devices", "refusals", "attach", "one-owner", "detach", of: .ours, on: kernel)
    }

    @Test("A disk is mounted with what the kernel wrote on it, and the reverse", arguments: GuestKernel.allCases)
    func mount(kernel: GuestKernel) throws {
      try expect("kernel-writes", "mount", "load", "unmount", "kernel-reads", of: .ours, on: kernel)
    }

    @Test("What is killed or taken away leaves nothing behind", arguments: GuestKernel.allCases)
    func loss(kernel: GuestKernel) throws {
      try expect("killed", "rescinded", of: .ours, on: kernel)
    }

    @Test("A link carries files", arguments: GuestKernel.allCases)
    func link(kernel: GuestKernel) throws {
      try expect("link", "transfer", "link-down", of: .ours, on: kernel)
    }

    @Test("Nothing else has failed, and the kernel's log is quiet", arguments: GuestKernel.allCases)
    func quietEnd(kernel: GuestKernel) throws {
      try expectQuietEnd(of: .ours, on: kernel)
    }
  }
}
