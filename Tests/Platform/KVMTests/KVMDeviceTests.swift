import LinuxIO
import Testing

@testable import KVM

/// What needs a KVM that can run Hyper-V's guests is tested in the nested run.
@Suite struct KVMDeviceTests {
  @Test func noDevice() throws {
    let error = try #require(throws: KVMError.self) { try KVMDevice(path: "/nonexistent/kvm") }
    guard case .missing(let path, let errno) = error else {
      Issue.record("another error: \(error)")
      return
    }
    #expect(path == "/nonexistent/kvm" && errno == .ENOENT)
  }

  @Test func anotherDevice() throws {
    let error = try #require(throws: KVMError.self) { try KVMDevice(path: "/dev/null") }
    #expect("\(error)".contains("lacks the stable API"))
  }

  /// Either this machine can, and then a machine with memory can be made; or it says what it lacks.
  @Test func thisMachine() throws {
    do throws(KVMError) {
      let machine = try KVMMachine(try KVMDevice())
      #expect(throws: KVMError.self) { try machine.removeMemory(slot: 0) }
    } catch {
      switch error {
      case .missing, .notPermitted: break
      case .lacks(let what): #expect(!what.isEmpty)
      case .failed: Issue.record("\(error)")
      }
    }
  }
}
