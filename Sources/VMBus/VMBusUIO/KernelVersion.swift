import LinuxIO

/// The version of a Linux kernel.
///
/// What uio_hv_generic does depends on single changes, which distributions bring back to older kernels; so behaviour is
/// looked at where that is possible, and the version is asked only where it is not.
public struct KernelVersion: Comparable, Sendable, CustomStringConvertible {
  /// First, second and third number.
  public let major: Int, minor: Int, patch: Int

  /// A version.
  public init(_ major: Int, _ minor: Int, _ patch: Int = 0) {
    self.major = major
    self.minor = minor
    self.patch = patch
  }

  /// Reads the release of uname(2), for example `6.12.95+deb12-amd64`.
  public init?(_ release: String) {
    let numbers = release.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }.split(separator: ".").map { Int($0) }
    guard numbers.count >= 2, let major = numbers[0], let minor = numbers[1] else { return nil }
    self.init(major, minor, numbers.count > 2 ? numbers[2] ?? 0 : 0)
  }

  /// The running kernel.
  public static var running: KernelVersion? {
    readFirstLine("/proc/sys/kernel/osrelease").flatMap { KernelVersion($0) }
  }

  /// Whether uio_hv_generic takes devices without a monitor id, and signals them by a system call (commit 547fa4ffd799,
  /// Linux 6.10; never brought back to 5.4 to 6.6).
  public var signalsWithoutMonitor: Bool { self >= KernelVersion(6, 10) }

  /// Orders by age.
  public static func < (left: KernelVersion, right: KernelVersion) -> Bool {
    (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
  }

  /// The three numbers.
  public var description: String { "\(major).\(minor).\(patch)" }
}
