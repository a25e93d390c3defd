import Testing

extension NestedEndToEndTests {
  /// Stock hv_netvsc.
  @Suite(.serialized) struct Network {
    @Test("The NICs of the configuration are links with carrier", arguments: GuestKernel.allCases)
    func links(kernel: GuestKernel) throws {
      try expect("links", "mac", "carrier", "addresses", "dhcp", of: .network, on: kernel)
    }

    @Test("Frames of every kind and size cross unchanged", arguments: GuestKernel.allCases)
    func frames(kernel: GuestKernel) throws {
      try expect(
        "ping", "receive", "send", "large-segments", "without-offloads", "jumbo-frames", "multicast", "vlan", "udp",
        of: .network, on: kernel)
    }

    @Test("Several streams use the queues of both processors", arguments: GuestKernel.allCases)
    func queues(kernel: GuestKernel) throws {
      try expect("throughput", "queues", of: .network, on: kernel)
    }

    @Test("Cables are pulled, NICs go under load and come back", arguments: GuestKernel.allCases)
    func hotPlug(kernel: GuestKernel) throws {
      try expect("cable", "removal-under-load", "return", of: .network, on: kernel)
    }

    @Test("Nothing else has failed, and the kernel's log is quiet", arguments: GuestKernel.allCases)
    func quietEnd(kernel: GuestKernel) throws {
      try expectQuietEnd(of: .network, on: kernel)
    }
  }
}
