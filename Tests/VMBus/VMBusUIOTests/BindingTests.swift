import LinuxIO
import Support
import Synchronization
import Testing
import VMBusProtocol

@testable import VMBusUIO

/// Moving devices between drivers.
@Suite struct BindingTests {
  private let tree: SysfsTree

  init() throws {
    tree = try SysfsTree()
    try tree.add(controller, class: .scsi, relid: 9, driver: "hv_storvsc")
  }

  private var binding: DriverBinding { DriverBinding(tree.bus, loadModule: { _ in "no modules here" }) }

  @Test func oneDeviceGoesAndComesBack() throws {
    try tree.add(nic, class: .network, relid: 10, driver: "hv_netvsc")
    let attached = try binding.attach(controller)
    #expect(attached.isAttached && attached.driverOverride == "uio_hv_generic" && attached.uio != nil)
    #expect(tree.driver(of: nic) == "hv_netvsc")
    let back = try binding.giveBack(controller, to: "hv_storvsc")
    #expect(back.driver == "hv_storvsc" && back.driverOverride == nil && back.uio == nil)
    #expect(
      tree.written == [
        "devices/\(controller)/driver_override=uio_hv_generic", "drivers/hv_storvsc/unbind=\(controller)",
        "drivers/uio_hv_generic/bind=\(controller)", "devices/\(controller)/driver_override=\n",
        "drivers/uio_hv_generic/unbind=\(controller)", "drivers/hv_storvsc/bind=\(controller)",
      ])
  }

  @Test func attachedTwiceDoesNothing() throws {
    _ = try binding.attach(controller)
    let count = tree.written.count
    #expect(try binding.attach(controller).isAttached)
    #expect(tree.written.count == count)
  }

  @Test func refusedDeviceGoesBackToItsDriver() throws {
    tree.setRefusing("uio_hv_generic", true)
    #expect(throws: BindingError.refused(step: "binding to uio_hv_generic", .EOPNOTSUPP)) {
      try binding.attach(controller)
    }
    #expect(tree.driver(of: controller) == "hv_storvsc")
    #expect(tree.bus.device(controller)?.driverOverride == nil)
  }

  @Test func deviceWithoutDriver() throws {
    try tree.add(nic, class: .network, relid: 10, driver: nil)
    #expect(try binding.attach(nic).isAttached)
    #expect(try binding.giveBack(nic, to: nil).driver == nil)
    #expect(try binding.giveBack(nic, to: "hv_netvsc").driver == "hv_netvsc")
    // It has its driver already.
    #expect(try binding.giveBack(nic, to: "hv_netvsc").driver == "hv_netvsc")
  }

  @Test func moduleIsLoaded() throws {
    let tree = try SysfsTree(drivers: ["hv_storvsc"])
    try tree.add(controller, class: .scsi, relid: 9, driver: "hv_storvsc")
    let asked = Mutex<[String]>([])
    let binding = DriverBinding(tree.bus) { name in
      asked.withLock { $0.append(name) }
      try? tree.addDriver(name)
      return nil
    }
    #expect(try binding.attach(controller).isAttached)
    #expect(asked.withLock { $0 } == ["uio_hv_generic"])
  }

  @Test func moduleMissing() throws {
    let tree = try SysfsTree(drivers: ["hv_storvsc"])
    try tree.add(controller, class: .scsi, relid: 9, driver: "hv_storvsc")
    let binding = DriverBinding(tree.bus, loadModule: { _ in "modprobe ended with code 1" })
    #expect(throws: BindingError.driverMissing("uio_hv_generic", reason: "modprobe ended with code 1")) {
      try binding.attach(controller)
    }
    // Nothing was touched.
    #expect(tree.written.isEmpty && tree.driver(of: controller) == "hv_storvsc")
  }

  @Test func deviceMissing() {
    #expect(throws: BindingError.deviceMissing(nic)) { try binding.attach(nic) }
    #expect(throws: BindingError.deviceMissing(nic)) { try binding.giveBack(nic, to: "hv_netvsc") }
  }
}
