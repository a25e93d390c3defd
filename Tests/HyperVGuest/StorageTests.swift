import Testing

extension NestedEndToEndTests {
  /// Stock hv_storvsc and sd.
  @Suite(.serialized) struct Storage {
    @Test("The disks of the configuration are there with their terms, and no others", arguments: GuestKernel.allCases)
    func disks(kernel: GuestKernel) throws {
      try expect("bus", "disks", "no-ghosts", "terms", "content", "read-only", of: .storage, on: kernel)
    }

    @Test("A filesystem keeps its files, fsync reaches the image, room is given back", arguments: GuestKernel.allCases)
    func filesystem(kernel: GuestKernel) throws {
      try expect("filesystem", "fsync", "fstrim", "discard", "e2fsck", of: .storage, on: kernel)
    }

    @Test("Verified load fills the queues of two channels", arguments: GuestKernel.allCases)
    func load(kernel: GuestKernel) throws {
      try expect("sub-channels", "load", "load-on-files", "speed", of: .storage, on: kernel)
    }

    @Test("Dynamic images are whole after all that", arguments: GuestKernel.allCases)
    func images(kernel: GuestKernel) throws {
      try expect("data-image", "large-sectors-image", of: .storage, on: kernel)
    }

    @Test("Disks come, grow and go while the guest runs", arguments: GuestKernel.allCases)
    func hotPlug(kernel: GuestKernel) throws {
      try expect("hot-add", "resize", "hot-remove", "remove-under-load", of: .storage, on: kernel)
    }

    @Test("Nothing else has failed, and the kernel's log is quiet", arguments: GuestKernel.allCases)
    func quietEnd(kernel: GuestKernel) throws {
      try expectQuietEnd(of: .storage, on: kernel)
    }
  }
}
