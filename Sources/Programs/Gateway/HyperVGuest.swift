import LinuxIO
import VMBusProtocol
import VMBusUIO

/// This machine as a guest of Hyper-V: what is asked of it before a device is taken.
struct HyperVGuest: Sendable {
  /// The bus.
  var sysfs = SysfsBus()
  /// Where procfs is mounted.
  var procfs = "/proc"
  /// The kernel.
  var kernel = KernelVersion.running
  /// How the memory of the guest is protected from its host, in words; nil when it is not.
  var isolation = processorIsolation()
  /// Whether this process may do it.
  var isRoot = effectiveUser() == 0
  /// Loads kernel modules.
  var loadModule: @Sendable (String) -> String? = loadKernelModule
  /// Whether the kernel uses the block device at this path.
  var isBlockDeviceInUse: @Sendable (String) -> Bool = isBlockDeviceClaimed

  var binding: DriverBinding { DriverBinding(sysfs, loadModule: loadModule) }

  /// What stands against taking over any device of this machine.
  func check(_ what: String) throws(GatewayError) {
    guard sysfs.isPresent else {
      throw GatewayError(
        .notFound, what: what, why: "this kernel has no VMBus: the machine is no guest of Hyper-V",
        advice: "use an image, or --bus socket:PATH")
    }
    guard isRoot else {
      throw GatewayError(.notPermitted, what: what, why: "only root may do this", advice: "run it with sudo")
    }
    if let isolation {
      throw GatewayError(
        .failed, what: what, why: "this is a confidential guest (\(isolation)): its memory is closed to the host",
        advice: "use the kernel's own drivers here")
    }
  }

  /// The device that `text` names: `scsi-1a2b3c4d`, an instance, or the beginning of one that is unique.
  func device(_ text: String, what: String) throws(GatewayError) -> SysfsDevice {
    let all = sysfs.devices()
    let wanted = text.lowercased()
    let named = all.filter { $0.name == wanted }
    let fitting = named.isEmpty ? all.filter { "\($0.instance)".hasPrefix(wanted) } : named
    let known = all.filter { $0.interfaceClass == .scsi || $0.interfaceClass == .network }.map(\.name)
    guard let found = fitting.first, !wanted.isEmpty else {
      throw GatewayError(
        .notFound, what: what, why: "the bus has no such device",
        advice: known.isEmpty ? "it has no disks and no NICs" : "it has: \(known.joined(separator: ", "))")
    }
    guard fitting.count == 1 else {
      let list = fitting.map { "\($0.instance)" }.joined(separator: ", ")
      throw GatewayError(.usage, what: what, why: "several devices fit", advice: "write more of one of: \(list)")
    }
    return found
  }

  /// The devices of a class that are attached, in the order of their instances.
  func attached(_ interfaceClass: GUID) -> [SysfsDevice] {
    sysfs.devices().filter { $0.interfaceClass == interfaceClass && $0.uio != nil }
  }

  /// The same, of which there must be one.
  ///
  /// - Parameter kind: what the class is called in the message.
  func attached(_ interfaceClass: GUID, _ kind: String, what: String) throws(GatewayError) -> [SysfsDevice] {
    let found = attached(interfaceClass)
    if !found.isEmpty { return found }
    let there = sysfs.devices().first { $0.interfaceClass == interfaceClass }
    throw GatewayError(
      .notFound, what: what, why: "no \(kind) of this machine is attached",
      advice: there.map { "synthgate attach \($0.name)" } ?? "the bus has none")
  }

  /// What stands against taking over this device.
  ///
  /// - Parameter force: leaves out the question whether it is in use.
  func check(_ device: SysfsDevice, force: Bool, what: String) throws(GatewayError) {
    guard device.interfaceClass == .scsi || device.interfaceClass == .network else {
      let name = device.interfaceClass.className ?? "\(device.interfaceClass)"
      throw GatewayError(
        .usage, what: what, why: "Synthgate drives SCSI controllers and network adapters, and this is of class \(name)")
    }
    if device.monitor == nil, let kernel, !kernel.signalsWithoutMonitor {
      throw GatewayError(
        .failed, what: what,
        why: "the host gives this device no monitor id, and Linux \(kernel) takes no such device (6.10 and later do)",
        advice: "boot a newer kernel")
    }
    if force { return }
    if let use = try deviceUse(device) {
      throw GatewayError(.busy, what: what, why: use, advice: "end that first; --force takes it all the same")
    }
  }
}

/// How the host says that it isolates this guest: leaf 0x4000000c of CPUID, as Linux reads it
/// (include/asm-generic/hyperv-tlfs.h).
func processorIsolation() -> String? {
  guard let top = processorIdentification(leaf: 0x4000_0000), top.eax >= 0x4000_000c, top.ebx == 0x7263_694d,
    let features = processorIdentification(leaf: 0x4000_0003), features.ebx & 1 << 22 != 0,
    let configuration = processorIdentification(leaf: 0x4000_000c)
  else { return nil }
  switch configuration.ebx & 0xf {
  case 0: return nil
  case 1: return "VBS"
  case 2: return "SEV-SNP"
  case 3: return "TDX"
  default: return "isolation type \(configuration.ebx & 0xf)"
  }
}

/// Whether the kernel has a block device for itself: it is mounted in some namespace, swap, or part of another device.
@Sendable func isBlockDeviceClaimed(_ path: String) -> Bool {
  // O_RDONLY | O_EXCL, without O_CREAT: asks for a block device that nobody else has claimed.
  do throws(Errno) {
    _ = try OwnedDescriptor.open(path, flags: 0o200)
    return false
  } catch {
    return error == .EBUSY
  }
}
