import LinuxIO
import NetlinkRoute
import NetworkSupport
import Testing

@Suite struct NamespaceTests {
  @Test func aThreadIsInside() throws {
    let namespace = try TestNamespace()
    let own = try NetlinkRoute().links().map(\.name).sorted()
    let byName = try namespace.open()
    let byPath = try NetworkNamespace("/var/run/netns/\(namespace.name)")
    try namespace.run("ip link add inside type bridge")
    for opened in [byName, byPath] {
      #expect(try NetlinkRoute.open(in: opened).links().map(\.name).sorted() == ["inside", "lo"])
      let inside = try opened.run { Result { try NetlinkRoute().links().map(\.name).sorted() } }
      #expect(try inside.get() == ["inside", "lo"])
      // What is opened inside stands for the same namespace.
      let again = try opened.run { Result { try NetworkNamespace() } }.get()
      #expect(try NetlinkRoute.open(in: again).link(named: "inside") != nil)
    }
    // This thread never left its own.
    #expect(try !own.contains("inside") && NetlinkRoute().link(named: "inside") == nil)
  }

  @Test func whatIsNoNamespace() {
    #expect(throws: Errno.ENOENT) { try NetworkNamespace("no-such-namespace") }
    #expect(throws: Errno.ENOENT) { try NetworkNamespace("/no/such/path") }
    for name in ["", ".", "..", "a\0b"] {
      #expect(throws: Errno.EINVAL) { try NetworkNamespace(name) }
    }
    #expect(throws: Errno.EINVAL) { try NetworkNamespace("/etc/passwd").run { 0 } }
  }
}
