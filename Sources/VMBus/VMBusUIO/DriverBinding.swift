public import LinuxIO
public import VMBusProtocol

/// Why a device could not be given to another driver.
public enum BindingError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The bus has no such device, or not any more.
  case deviceMissing(GUID)
  /// There is no such driver, and its module can't be loaded.
  case driverMissing(String, reason: String)
  /// The kernel refused a step.
  case refused(step: String, Errno)
  /// The kernel did not bind the device, for a reason that stands in its log.
  case notBound(driver: String)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .deviceMissing(let instance): "the bus has no device \(instance)"
    case .driverMissing(let driver, let reason): "the driver \(driver) is not there: \(reason)"
    case .refused(let step, let errno): "\(step): \(errno)"
    case .notBound(let driver): "\(driver) does not take the device; the kernel's log tells why"
    }
  }
}

/// Moves single devices between their drivers and uio_hv_generic.
///
/// It goes by `driver_override`, which names the one driver that one device may have: `new_id` would take every device of a
/// class, those to come too.
public struct DriverBinding: Sendable {
  /// The driver that lets programs drive devices.
  public static let uioDriver = "uio_hv_generic"

  private let bus: SysfsBus
  private let loadModule: @Sendable (String) -> String?

  /// Works on `bus`.
  ///
  /// - Parameter loadModule: loads a kernel module; answers why it can't.
  public init(_ bus: SysfsBus, loadModule: @escaping @Sendable (String) -> String? = loadKernelModule) {
    self.bus = bus
    self.loadModule = loadModule
  }

  /// Takes a device from the driver that has it, and gives it to uio_hv_generic. When that fails the former driver gets it
  /// back.
  ///
  /// - Returns: the device as it is afterwards.
  public func attach(_ instance: GUID) throws(BindingError) -> SysfsDevice {
    guard let device = bus.device(instance) else { throw .deviceMissing(instance) }
    if device.isAttached { return device }
    try requireDriver(Self.uioDriver)
    do throws(BindingError) {
      try step("driver_override") { () throws(Errno) in
        try bus.store(Self.uioDriver, device: device, "driver_override")
      }
      if let former = device.driver { try unbind(device, from: former) }
      return try bind(instance, to: Self.uioDriver)
    } catch {
      _ = try? giveBack(instance, to: device.driver)
      throw error
    }
  }

  /// Gives a device of uio_hv_generic back to the driver that had it; nil leaves it without one.
  ///
  /// - Returns: the device as it is afterwards.
  @discardableResult
  public func giveBack(_ instance: GUID, to former: String?) throws(BindingError) -> SysfsDevice {
    guard let device = bus.device(instance) else { throw .deviceMissing(instance) }
    if device.driverOverride != nil {
      // An empty line is what clears it.
      try step("driver_override") { () throws(Errno) in try bus.store("\n", device: device, "driver_override") }
    }
    if device.isAttached { try unbind(device, from: Self.uioDriver) }
    guard let former, device.isAttached || device.driver == nil else { return bus.device(instance) ?? device }
    try requireDriver(former)
    return try bind(instance, to: former)
  }

  private func unbind(_ device: SysfsDevice, from driver: String) throws(BindingError) {
    try step("unbinding from \(driver)") { () throws(Errno) in
      do throws(Errno) { try bus.store(device.entry, driver: driver, "unbind") } catch {
        // The kernel says so when the device has left the driver meanwhile.
        if error != .ENODEV { throw error }
      }
    }
  }

  private func bind(_ instance: GUID, to driver: String) throws(BindingError) -> SysfsDevice {
    guard let device = bus.device(instance) else { throw .deviceMissing(instance) }
    if device.driver != driver {
      try step("binding to \(driver)") { () throws(Errno) in
        do throws(Errno) { try bus.store(device.entry, driver: driver, "bind") } catch {
          // Somebody else has bound it meanwhile: to whom, the link tells.
          if error != .EBUSY { throw error }
        }
      }
    }
    guard let bound = bus.device(instance), bound.driver == driver else { throw .notBound(driver: driver) }
    return bound
  }

  private func requireDriver(_ name: String) throws(BindingError) {
    if bus.hasDriver(name) { return }
    let problem = loadModule(name)
    guard bus.hasDriver(name) else {
      throw .driverMissing(name, reason: problem ?? "the module was loaded, but registered no driver")
    }
  }

  private func step(_ name: String, _ body: () throws(Errno) -> Void) throws(BindingError) {
    do throws(Errno) { try body() } catch { throw .refused(step: name, error) }
  }
}
