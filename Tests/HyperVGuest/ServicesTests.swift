import Testing

extension NestedEndToEndTests {
  /// Stock hv_utils and hv_kvp_daemon.
  @Suite(.serialized) struct Services {
    @Test("The guest takes the time of its host, and lives", arguments: GuestKernel.allCases)
    func time(kernel: GuestKernel) throws {
      try expect("time", "drivers", "heartbeat", of: .services, on: kernel)
    }

    @Test("The daemon of the guest tells its names and addresses", arguments: GuestKernel.allCases)
    func keyValuePairs(kernel: GuestKernel) throws {
      try expect("key-value-pairs", of: .services, on: kernel)
    }

    @Test("A shutdown that is asked for from outside is an ordinary one", arguments: GuestKernel.allCases)
    func shutdown(kernel: GuestKernel) throws {
      try expect("shutdown", "power-off", of: .services, on: kernel)
      try expectQuietEnd(of: .services, on: kernel)
    }
  }
}
