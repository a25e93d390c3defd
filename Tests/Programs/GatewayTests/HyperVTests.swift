import LinuxIO
import Support
import Synchronization
import Testing
import VMBusProtocol
import VMBusUIO

@testable import Gateway

/// What may be attached, over a made-up sysfs and procfs.
@Suite struct HyperVTests {
  private static let first = GUID("1a2b3c4d-0000-4000-8000-000000000001")!
  private static let second = GUID("1a2b3c4e-0000-4000-8000-000000000002")!
  private static let nic = GUID("9f8e7d6c-0000-4000-8000-000000000003")!
  private let tree: SysfsTree
  private let runtime: RuntimeDirectory
  private let guest: HyperVGuest

  init() throws {
    let tree = try SysfsTree()
    self.tree = tree
    try tree.add(Self.first, class: .scsi, relid: 5, monitor: 1, driver: "hv_storvsc")
    try tree.add(Self.second, class: .scsi, relid: 6, monitor: 2, driver: "hv_storvsc")
    try tree.add(Self.nic, class: .network, relid: 7, monitor: 3, driver: "hv_netvsc")
    try tree.addDisk("sda", partitions: ["sda1", "sda2"], to: Self.first, number: "8")
    try tree.addDisk("sdb", partitions: [], to: Self.second, number: "9")
    try tree.addLink("eth0", to: Self.nic)
    let procfs = tree.root + "/proc"
    try makeDirectories(procfs + "/self")
    try makeDirectories(procfs + "/net")
    try writeTextFile("1 0 0:5 / /proc rw - proc proc rw\n", to: procfs + "/self/mountinfo")
    try writeTextFile("Filename Type Size Used Priority\n", to: procfs + "/swaps")
    runtime = RuntimeDirectory(path: tree.root + "/run")
    var guest = HyperVGuest()
    guest.sysfs = SysfsBus(root: tree.root, store: { path, text throws(Errno) in try tree.store(path, text) })
    guest.procfs = procfs
    guest.kernel = KernelVersion(6, 1)
    guest.isolation = nil
    guest.isRoot = true
    guest.loadModule = { _ in "no modules here" }
    guest.isBlockDeviceInUse = { _ in false }
    self.guest = guest
  }

  private func attach(_ names: [String], force: Bool = false, _ guest: HyperVGuest? = nil) throws {
    try (guest ?? self.guest).attach(names, force: force, in: runtime) { _ in }
  }

  private func proc(_ name: String, _ text: String) throws {
    try writeTextFile(text, to: tree.root + "/proc/" + name)
  }

  /// The kind and the words of the error of `body`.
  private func failure(_ body: () throws -> Void) -> (kind: GatewayError.Kind, text: String)? {
    do { try body() } catch let error as GatewayError { return (error.kind, error.description) } catch {}
    return nil
  }

  // MARK: Attaching

  @Test func attachAndDetach() throws {
    let reports = Mutex<[AttachReport]>([])
    try guest.attach(["scsi-1a2b3c4e", "9f8e"], force: false, in: runtime) { report in
      reports.withLock { $0.append(report) }
    }
    #expect(reports.withLock { $0.map(\.name) } == ["scsi-1a2b3c4e", "nic-9f8e7d6c"])
    #expect(tree.driver(of: Self.second) == "uio_hv_generic" && tree.driver(of: Self.nic) == "uio_hv_generic")
    #expect(tree.driver(of: Self.first) == "hv_storvsc")
    #expect(runtime.attachment(Self.second)?.formerDriver == "hv_storvsc")
    #expect(guest.attached(.scsi).map(\.instance) == [Self.second])
    // A process that was killed leaves nothing that matters.
    try guest.detach([], in: runtime) { _ in }
    #expect(tree.driver(of: Self.second) == "hv_storvsc" && tree.driver(of: Self.nic) == "hv_netvsc")
    #expect(runtime.attachedInstances().isEmpty)
  }

  @Test func namesOfDevices() throws {
    #expect(try guest.device("SCSI-1A2B3C4D", what: "").instance == Self.first)
    #expect(try guest.device("\(Self.second)", what: "").instance == Self.second)
    let several = failure { _ = try guest.device("1a2b3c4", what: "attach") }
    #expect(several?.kind == .usage && several?.text.contains("\(Self.second)") == true)
    let none = failure { try attach(["scsi-00000000"]) }
    #expect(none?.kind == .notFound && none?.text.contains("scsi-1a2b3c4d") == true)
    #expect(failure { _ = try guest.device("", what: "") }?.kind == .notFound)
  }

  @Test func oneWrongNameLeavesAllAlone() throws {
    #expect(failure { try attach(["scsi-1a2b3c4e", "nonsense"]) }?.kind == .notFound)
    #expect(tree.driver(of: Self.second) == "hv_storvsc" && tree.written.isEmpty)
  }

  @Test func kernelThatRefusesLeavesNothing() throws {
    tree.setRefusing("uio_hv_generic", true)
    #expect(failure { try attach(["scsi-1a2b3c4e"]) }?.kind == .failed)
    #expect(tree.driver(of: Self.second) == "hv_storvsc" && runtime.attachedInstances().isEmpty)
  }

  @Test func refusals() throws {
    var other = guest
    other.isRoot = false
    #expect(failure { try attach(["scsi-1a2b3c4e"], other) }?.kind == .notPermitted)
    other = guest
    other.isolation = "SEV-SNP"
    #expect(failure { try attach(["scsi-1a2b3c4e"], other) }?.text.contains("confidential") == true)
    other = guest
    other.sysfs = SysfsBus(root: "/nonexistent")
    #expect(failure { try attach(["scsi-1a2b3c4e"], other) }?.kind == .notFound)
    let keyboard = GUID("d34b2567-b9b6-42b9-8778-0a4ec0b955bf")!
    try tree.add(keyboard, class: .keyboard, relid: 8, driver: nil)
    #expect(failure { try attach(["d34b"]) }?.kind == .usage)
    #expect(tree.written.isEmpty)
  }

  @Test func deviceWithoutMonitorNeedsANewKernel() throws {
    let plain = GUID("77777777-0000-4000-8000-000000000009")!
    try tree.add(plain, class: .scsi, relid: 9, driver: "hv_storvsc")
    #expect(failure { try attach(["7777"], force: true) }?.text.contains("6.10") == true)
    var newer = guest
    newer.kernel = KernelVersion(6, 12, 95)
    try attach(["7777"], newer)
    #expect(tree.driver(of: plain) == "uio_hv_generic")
  }

  @Test func moduleMissing() throws {
    let tree = try SysfsTree(drivers: ["hv_storvsc"])
    try tree.add(Self.first, class: .scsi, relid: 5, monitor: 1, driver: "hv_storvsc")
    var other = guest
    other.sysfs = SysfsBus(root: tree.root, store: { path, text throws(Errno) in try tree.store(path, text) })
    let error = failure { try attach(["scsi-1a2b3c4d"], other) }
    #expect(error?.kind == .notFound && error?.text.contains("CONFIG_UIO_HV_GENERIC") == true)
    #expect(tree.driver(of: Self.first) == "hv_storvsc" && runtime.attachedInstances().isEmpty)
  }

  // MARK: Use

  @Test func mountedFilesystemsStay() throws {
    try proc("self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/root rw\n")
    let root = failure { try attach(["scsi-1a2b3c4d"]) }
    #expect(root?.kind == .busy && root?.text.contains("root filesystem") == true)
    // A filesystem with a device number of its own is known by its source.
    try proc("self/mountinfo", "1 0 0:44 / /data rw - btrfs /dev/sda2 rw\n")
    #expect(failure { try attach(["scsi-1a2b3c4d"]) }?.text.contains("mounted at /data") == true)
    // The kernel holds the whole disk then, too; that is no news.
    var holding = guest
    holding.isBlockDeviceInUse = { _ in true }
    #expect(failure { try attach(["scsi-1a2b3c4d"], holding) }?.text.contains("mounted at /data") == true)
    try attach(["scsi-1a2b3c4e"])
    try attach(["scsi-1a2b3c4d"], force: true)
    #expect(tree.driver(of: Self.first) == "uio_hv_generic")
  }

  @Test func swapStays() throws {
    try proc("swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1048572 0 -2\n")
    #expect(failure { try attach(["scsi-1a2b3c4d"]) }?.text.contains("swap") == true)
  }

  @Test func volumesOnTheDiskStay() throws {
    try tree.addHolder("dm-0", of: "sdb", number: "253:0")
    #expect(failure { try attach(["scsi-1a2b3c4e"]) }?.text.contains("part of dm-0") == true)
    try proc("self/mountinfo", "1 0 253:0 / /srv rw - xfs /dev/mapper/data-srv rw\n")
    #expect(failure { try attach(["scsi-1a2b3c4e"]) }?.text.contains("/srv (through dm-0)") == true)
  }

  @Test func whatTheKernelHoldsStays() throws {
    var other = guest
    other.isBlockDeviceInUse = { $0 == "/dev/sdb" }
    #expect(failure { try attach(["scsi-1a2b3c4e"], other) }?.text.contains("sdb is in use") == true)
    try attach(["scsi-1a2b3c4d"], other)
  }

  @Test func defaultRouteStays() throws {
    try proc(
      "net/route",
      "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n"
    )
    #expect(failure { try attach(["nic-9f8e7d6c"]) }?.kind == .busy)
    try proc(
      "net/route",
      "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n"
    )
    let zeros = String(repeating: "0", count: 32)
    try proc("net/ipv6_route", "\(zeros) 00 \(zeros) 00 fe800000000000000000000000000001 00000400 1 0 00000003 eth0\n")
    #expect(failure { try attach(["nic-9f8e7d6c"]) }?.text.contains("default route") == true)
    try proc("net/ipv6_route", "\(zeros) 00 \(zeros) 00 \(zeros) ffffffff 1 0 00200200 lo\n")
    try attach(["nic-9f8e7d6c"])
  }

  @Test func loginSessionStays() throws {
    // The address is on lo; a link of that name below the NIC stands for the one that carries the session.
    try tree.addLink("lo", to: Self.nic)
    try proc("self/stat", "77 (synthgate) S 42 1 1")
    try proc("self/environ", "PATH=/bin\0")
    try makeDirectories(tree.root + "/proc/42")
    try proc("42/environ", "LANG=C\0SSH_CONNECTION=10.0.0.9 50000 127.0.0.1 22\0")
    #expect(failure { try attach(["nic-9f8e7d6c"]) }?.text.contains("login session, at 127.0.0.1") == true)
    try proc("42/environ", "SSH_CONNECTION=10.0.0.9 50000 10.254.253.252 22\0")
    try attach(["nic-9f8e7d6c"])
  }

  // MARK: Claims

  @Test func detachRefusesWhatIsUsed() throws {
    try attach(["scsi-1a2b3c4e"])
    do {
      let claim = try #require(try runtime.claimDevice(Self.second))
      try claim.write(DeviceUse(process: 4711, purpose: "mounted at /srv/data"))
      #expect(try runtime.claimDevice(Self.second) == nil)
      let error = failure { try guest.detach(["scsi-1a2b3c4e"], in: runtime) { _ in } }
      #expect(error?.kind == .busy && error?.text.contains("mounted at /srv/data") == true)
      #expect(tree.driver(of: Self.second) == "uio_hv_generic")
    }
    #expect(runtime.use(of: Self.second) == nil)
    try guest.detach(["scsi-1a2b3c4e"], in: runtime) { _ in }
    #expect(failure { try guest.detach(["scsi-1a2b3c4e"], in: runtime) { _ in } }?.kind == .notFound)
  }

  @Test func unattendedRecordsAreRepaired() throws {
    try attach(["scsi-1a2b3c4d", "scsi-1a2b3c4e"])
    // Killed between unbinding and binding, and taken back by the host.
    try tree.store("\(tree.root)/bus/vmbus/drivers/uio_hv_generic/unbind", "\(Self.first)")
    tree.remove(Self.second)
    guest.repairAttachments(in: runtime)
    #expect(tree.driver(of: Self.first) == "hv_storvsc" && runtime.attachedInstances().isEmpty)
    try attach(["scsi-1a2b3c4d"])
    guest.repairAttachments(in: runtime)
    #expect(tree.driver(of: Self.first) == "uio_hv_generic" && runtime.attachedInstances() == [Self.first])
  }

  @Test func busyControllerIsNamed() throws {
    try attach(["scsi-1a2b3c4d", "scsi-1a2b3c4e"])
    let claim = try #require(try runtime.claimDevice(Self.first))
    let disks = [
      DiskReport(
        name: "disk0", path: nil, size: 1 << 30, sectorSize: 512, readOnly: false, serial: "S1", model: "",
        controller: "\(Self.first)", target: 0, lun: 3, partitions: [], mount: "/srv")
    ]
    try claim.write(DeviceUse(process: 4711, purpose: "mounted at /srv", disks: disks))
    let claims = try ControllerClaims(guest, in: runtime, what: "mount")
    #expect(claims.claimed == [Self.second])
    #expect(claims.number([]).map(\.name) == ["disk0"] && claims.number([])[0].report.mount == "/srv")
    for selector in [DiskSelector.index(0), .lun(target: 0, lun: 3), .serial("S1")] {
      let error = failure { _ = try claims.choose(selector, from: [], source: "disk0") }
      #expect(error?.kind == .busy && error?.text.contains("process 4711 uses it: mounted at /srv") == true)
    }
    #expect(failure { _ = try claims.choose(.index(1), from: [], source: "disk1") }?.kind == .notFound)
  }

  @Test func mountingNeedsAnAttachedController() throws {
    let error = failure { _ = try ControllerClaims(guest, in: runtime, what: "mount disk0") }
    #expect(error?.kind == .notFound && error?.text.contains("synthgate attach scsi-1a2b3c4d") == true)
  }

  // MARK: Names

  @Test func busChoices() throws {
    #expect(
      BusChoice("auto") == .automatic && BusChoice("hyperv") == .hyperv && BusChoice("socket:/a") == .socket("/a"))
    #expect(BusChoice("socket:") == nil && BusChoice("hyper") == nil)
    let none = SysfsBus(root: "/nonexistent")
    #expect(BusChoice.automatic.forDisk("disk0p1", sysfs: guest.sysfs) == .hyperv)
    #expect(BusChoice.automatic.forDisk("disk0p1", sysfs: none) == .embedded)
    #expect(BusChoice.automatic.forDisk("disk.img", sysfs: guest.sysfs) == .embedded)
    #expect(BusChoice.automatic.forDisk("/dev/sdz", sysfs: guest.sysfs) == .embedded)
    #expect(BusChoice.embedded.forDisk("disk0", sysfs: guest.sysfs) == .embedded)
    #expect(BusChoice.automatic.forLink(hasUplink: false, sysfs: guest.sysfs) == .hyperv)
    #expect(BusChoice.automatic.forLink(hasUplink: true, sysfs: guest.sysfs) == .embedded)
    #expect(BusChoice.automatic.forLink(hasUplink: false, sysfs: none) == .embedded)
    #expect(BusChoice.socket("/a").forLink(hasUplink: false, sysfs: guest.sysfs) == .socket("/a"))
  }

  @Test func disksWithPartitions() {
    #expect(DiskSelector.split("disk0p1")?.partition == 1 && DiskSelector.split("disk12")?.partition == nil)
    #expect(
      DiskSelector(splitting: "disk3p10") == .index(3) && DiskSelector(splitting: "lun=0:2") == .lun(target: 0, lun: 2))
    for text in ["disk", "diskp1", "disk0p", "disk0p0", "disk0p-1", "diskette.img", "lun=0:1p1"] {
      #expect(DiskSelector(splitting: text) == nil)
    }
  }

  @Test func devicesShowDriverAndRings() throws {
    try attach(["scsi-1a2b3c4e"])
    let reports = guest.deviceReports()
    #expect(reports.map(\.name) == ["scsi-1a2b3c4d", "scsi-1a2b3c4e", "nic-9f8e7d6c"])
    #expect(reports.map(\.driver) == ["hv_storvsc", "uio_hv_generic", "hv_netvsc"])
    #expect(reports[1].ringSize == SysfsTree.ringByteCount && reports[0].ringSize == nil)
    #expect(reports[1].monitorID == 2 && reports[1].subChannels == 0 && reports[1].state == "offered")
  }
}
