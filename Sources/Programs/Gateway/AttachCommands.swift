import LinuxIO
import VMBusProtocol
import VMBusUIO

/// A device that changed hands.
public struct AttachReport: Sendable, Equatable {
  /// Short name of the device.
  public var name: String
  /// The driver that had it, and the one that has it now; nil for none.
  public var from: String?
  /// See `from`.
  public var to: String?
}

/// Takes devices from the drivers of the kernel, so that Synthgate can drive them. When one can't be taken, those before it
/// stay taken.
///
/// - Parameter force: also what is in use.
/// - Throws: the first that can't be taken, with the reason; it has its driver back then.
public func attachDevices(
  _ names: [String], force: Bool, report: (AttachReport) -> Void
) throws(GatewayError) {
  RuntimeDirectory.current.cleanUpStale()
  try HyperVGuest().attach(names, force: force, in: .current, report: report)
}

/// Gives devices back to the drivers that had them.
///
/// - Parameter names: which; empty for all that are attached.
public func detachDevices(_ names: [String], report: (AttachReport) -> Void) throws(GatewayError) {
  RuntimeDirectory.current.cleanUpStale()
  try HyperVGuest().detach(names, in: .current, report: report)
}

extension HyperVGuest {
  func attach(
    _ names: [String], force: Bool, in runtime: RuntimeDirectory, report: (AttachReport) -> Void
  ) throws(GatewayError) {
    try check("attach \(names.joined(separator: " "))")
    // All names first: a mistake in one shall not leave half of them taken.
    var devices: [SysfsDevice] = []
    for name in names { devices.append(try device(name, what: "attach \(name)")) }
    for device in devices where !device.isAttached {
      try check(device, force: force, what: "attach \(device.name)")
    }
    for device in devices {
      if device.isAttached {
        report(AttachReport(name: device.name, from: DriverBinding.uioDriver, to: DriverBinding.uioDriver))
        continue
      }
      try attach(device, in: runtime)
      report(AttachReport(name: device.name, from: device.driver, to: DriverBinding.uioDriver))
    }
  }

  private func attach(_ device: SysfsDevice, in runtime: RuntimeDirectory) throws(GatewayError) {
    let what = "attach \(device.name)"
    let before = runtime.attachment(device.instance)
    // While it is held nobody takes the device for one that was left behind.
    guard let claim = try runtime.claimDevice(device.instance) else {
      throw GatewayError(.busy, what: what, why: runtime.useText(of: device.instance))
    }
    defer { withExtendedLifetime(claim) {} }
    // Before anything is done: who is killed in the middle leaves a trace that `detach` goes by.
    try runtime.save(
      AttachmentRecord(
        instance: "\(device.instance)", interfaceClass: "\(device.interfaceClass)",
        formerDriver: device.driver ?? before?.formerDriver),
      for: device.instance)
    do throws(BindingError) {
      _ = try binding.attach(device.instance)
    } catch {
      runtime.removeAttachment(device.instance)
      throw Self.error(error, device, what: what)
    }
  }

  func detach(
    _ names: [String], in runtime: RuntimeDirectory, report: (AttachReport) -> Void
  ) throws(GatewayError) {
    try check("detach")
    var devices: [SysfsDevice] = []
    for name in names { devices.append(try device(name, what: "detach \(name)")) }
    if names.isEmpty {
      let known = Set(runtime.attachedInstances())
      devices = sysfs.devices().filter { $0.isAttached || known.contains($0.instance) }
      // What the host has taken back has no driver to go to.
      for instance in known where sysfs.device(instance) == nil { runtime.removeAttachment(instance) }
    }
    for device in devices {
      let what = "detach \(device.name)"
      let record = runtime.attachment(device.instance)
      guard device.isAttached || record != nil else {
        throw GatewayError(
          .notFound, what: what, why: "it is not attached; \(device.driver ?? "no driver") has it")
      }
      guard let claim = try runtime.claimDevice(device.instance) else {
        throw GatewayError(
          .busy, what: what, why: runtime.useText(of: device.instance), advice: "end that first (umount, link down)")
      }
      defer { withExtendedLifetime(claim) {} }
      let former = record?.formerDriver ?? Self.usualDriver(of: device.interfaceClass)
      do throws(BindingError) {
        let after = try binding.giveBack(device.instance, to: former)
        report(AttachReport(name: device.name, from: device.driver, to: after.driver))
      } catch {
        throw Self.error(error, device, what: what)
      }
      runtime.removeAttachment(device.instance)
    }
  }

  /// Ends what was killed in the middle of `attach` or `detach`: a device that is remembered but not attached goes to its
  /// driver, if it has none, and is forgotten.
  func repairAttachments(in runtime: RuntimeDirectory) {
    guard isRoot else { return }
    for instance in runtime.attachedInstances() {
      let device = sysfs.device(instance)
      if let device, device.isAttached { continue }
      guard let claim = (try? runtime.claimDevice(instance)) ?? nil else { continue }
      if let device, device.driver == nil, let former = runtime.attachment(instance)?.formerDriver {
        _ = try? binding.giveBack(instance, to: former)
      }
      withExtendedLifetime(claim) { runtime.removeAttachment(instance) }
    }
  }

  private static func usualDriver(of interfaceClass: GUID) -> String? {
    switch interfaceClass {
    case .scsi: "hv_storvsc"
    case .network: "hv_netvsc"
    default: nil
    }
  }

  private static func error(_ error: BindingError, _ device: SysfsDevice, what: String) -> GatewayError {
    switch error {
    case .driverMissing:
      GatewayError(
        .notFound, what: what, why: "\(error)",
        advice: "install the package with the kernel's extra modules, or a kernel that has CONFIG_UIO_HV_GENERIC")
    case .refused(_, .EPERM), .refused(_, .EACCES), .refused(_, .EROFS):
      GatewayError(.notPermitted, what: what, why: "\(error)", advice: "sysfs must be writable: no container can do it")
    case .deviceMissing: GatewayError(.notFound, what: what, why: "\(error)")
    case .refused(_, .ENOMEM):
      GatewayError(
        .failed, what: what, why: "\(error): the rings need 4 MiB of memory in one piece",
        advice: "attach it soon after booting, or run: echo 1 > /proc/sys/vm/compact_memory")
    case .refused, .notBound: GatewayError(.failed, what: what, why: "\(error)", advice: "see dmesg")
    }
  }
}

extension RuntimeDirectory {
  /// Who uses an attached device, in words.
  func useText(of instance: GUID) -> String {
    guard let use = use(of: instance) else { return "another process of Synthgate uses it" }
    return "process \(use.process) uses it: \(use.purpose)"
  }
}
