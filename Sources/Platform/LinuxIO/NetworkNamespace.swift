import CLinux
import Synchronization

/// A network namespace: it lives at least as long as this object.
public final class NetworkNamespace: Sendable {
  private let owned: OwnedDescriptor

  /// A descriptor that stands for the namespace.
  public var descriptor: Int32 { owned.number }

  /// The namespace that `ip netns` knows as `name`, or, where `name` has a slash in it, the one at that path.
  ///
  /// - Throws: ENOENT when there is none, EINVAL for a name that can be none.
  public init(_ name: String) throws(Errno) {
    guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(0) else { throw .EINVAL }
    let path = name.utf8.contains(UInt8(ascii: "/")) ? name : "/var/run/netns/\(name)"
    owned = try OwnedDescriptor.open(path, flags: O_RDONLY)
  }

  /// The namespace of the calling thread.
  public init() throws(Errno) {
    owned = try OwnedDescriptor.open("/proc/thread-self/ns/net", flags: O_RDONLY)
  }

  /// Runs `body` on a thread of its own inside the namespace, waits for it and answers what it answered. Sockets and TAPs
  /// that are made there stay in the namespace, whoever uses them.
  ///
  /// - Throws: EPERM without CAP_SYS_ADMIN, EINVAL when the file is no network namespace.
  public func run<R: Sendable>(_ body: @escaping @Sendable () -> R) throws(Errno) -> R {
    let outcome = Outcome<R>()
    let number = descriptor
    let thread = try WorkerThread(name: "netns") {
      let entered = synthgate_enter_network_namespace(number)
      let found: Result<R, Errno> = entered < 0 ? .failure(Errno(rawValue: -entered)) : .success(body())
      outcome.value.withLock { $0 = found }
    }
    thread.join()
    return try outcome.value.withLock { $0! }.get()
  }

  private final class Outcome<R: Sendable>: Sendable {
    let value = Mutex<Result<R, Errno>?>(nil)
  }
}
