import CLinux

/// The numbers of a device: what a device node stands for.
public struct DeviceNumber: Hashable, Sendable {
  /// Number of the driver.
  public var major: UInt32
  /// Number of the device at its driver.
  public var minor: UInt32

  /// The device `major:minor`.
  public init(major: UInt32, minor: UInt32) {
    self.major = major
    self.minor = minor
  }

  /// Reads `MAJOR:MINOR`, as a `dev` attribute of sysfs has it.
  public init?(_ text: String) {
    let fields = text.split(separator: "\n").first?.split(separator: ":").map { UInt32($0) } ?? []
    guard fields.count == 2, let major = fields[0], let minor = fields[1] else { return nil }
    self.init(major: major, minor: minor)
  }

  /// The character device that the node at `path` stands for.
  ///
  /// - Throws: ENOENT, ENODEV when it is no character device.
  public static func ofCharacterDevice(_ path: String) throws(Errno) -> DeviceNumber {
    var major: UInt32 = 0
    var minor: UInt32 = 0
    // SAFETY: a null-terminated text and two local numbers during the call.
    _ = try unsafe check(synthgate_character_device(path, &major, &minor))
    return DeviceNumber(major: major, minor: minor)
  }

  /// Makes a node for this character device at `path`, for root only; one that is there already stays.
  ///
  /// - Throws: the errno of mknod(2).
  public func makeCharacterDevice(at path: String) throws(Errno) {
    // SAFETY: a null-terminated text during the call.
    _ = try unsafe check(synthgate_make_character_device(path, major, minor))
  }
}

/// The size of a page of this machine, in bytes.
public func systemPageByteCount() -> Int { Int(synthgate_system_page_size()) }

/// What the instruction CPUID answers for `leaf` (subleaf 0): EAX, EBX, ECX, EDX; nil on other processors than x86-64.
public func processorIdentification(leaf: UInt32) -> (eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32)? {
  var registers: [UInt32] = [0, 0, 0, 0]
  // SAFETY: the array has the four entries that are filled.
  guard unsafe synthgate_cpuid(leaf, &registers) == 1 else { return nil }
  return (registers[0], registers[1], registers[2], registers[3])
}
