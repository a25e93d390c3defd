/// The ACPI tables of a machine: how its kernel finds VMBus, the serial ports, the clock, the interrupt controllers, and the
/// way to switch off.
///
/// There is no PCI. hv_vmbus wants a device with the name "VMBus"; its parent tells a window for devices with memory of
/// their own. Source: the ACPI specification 6.3, chapter 5, and Linux drivers/hv/vmbus_drv.c.
struct ACPITables {
  /// What is to be copied into the guest's memory.
  let pieces: [(address: UInt64, bytes: [UInt8])]

  private static let root = MachineLayout.acpiRoot
  private static let xsdtAddress = root + 0x40
  private static let fadtAddress = root + 0x100
  private static let madtAddress = root + 0x300
  private static let facsAddress = root + 0x800
  private static let dsdtAddress = root + 0x1000

  /// The tables of a machine with `processorCount` processors.
  init(processorCount: Int, serialPortCount: Int) {
    let pointers = [Self.fadtAddress, Self.madtAddress].flatMap { AML.littleEndian($0) }
    pieces = [
      (Self.root, Self.rootPointer()),
      (Self.xsdtAddress, Self.table("XSDT", revision: 1, pointers)),
      (Self.fadtAddress, Self.table("FACP", revision: 6, Self.fixedDescription())),
      (Self.madtAddress, Self.table("APIC", revision: 3, Self.interruptControllers(processorCount))),
      (Self.facsAddress, Self.firmwareControl()),
      (Self.dsdtAddress, Self.table("DSDT", revision: 2, Self.devices(serialPortCount: serialPortCount))),
    ]
    precondition(pieces[3].bytes.count <= Int(Self.facsAddress - Self.madtAddress))
  }

  // MARK: What the tables say

  private static let acpiInterrupt: UInt8 = 9

  /// The devices, in ACPI's machine language.
  static func devices(serialPortCount: Int) -> [UInt8] {
    let bus = AML.device(
      "VMBS",
      [
        AML.name("_HID", AML.text("VMBus")), AML.name("_DDN", AML.text("VMBUS")), AML.name("_UID", AML.byte(0)),
        AML.method("_STA", returning: AML.byte(0x0F)), AML.name("_CRS", AML.resources([AML.irq(5)])),
      ])
    let module = AML.device(
      "VMOD",
      [
        AML.name("_HID", AML.text("ACPI0004")), AML.name("_UID", AML.byte(0)),
        AML.name("_CRS", AML.resources([AML.memoryWindow(MachineLayout.deviceWindow)])), bus,
      ])
    let serial = (0..<serialPortCount).map { index in
      let (base, line) = MachineLayout.Port.serial[index]
      return AML.device(
        "COM\(index + 1)",
        [
          AML.name("_HID", AML.eisaID("PNP0501")), AML.name("_UID", AML.byte(UInt8(index + 1))),
          AML.name("_CRS", AML.resources([AML.ports(base, count: 8), AML.irq(line)])),
        ])
    }
    let clock = AML.device(
      "RTC0",
      [
        AML.name("_HID", AML.eisaID("PNP0B00")),
        AML.name("_CRS", AML.resources([AML.ports(MachineLayout.Port.clock, count: 2), AML.irq(8)])),
      ])
    let off = AML.package([AML.byte(5), AML.byte(5), AML.byte(0), AML.byte(0)])
    return AML.name("_S5", off) + AML.scope("_SB", [module] + serial + [clock])
  }

  /// The fixed ACPI description table (FADT), from offset 36 on.
  static func fixedDescription() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 276 - 36)
    func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
      for (index, byte) in AML.littleEndian(value).enumerated() { bytes[offset - 36 + index] = byte }
    }
    // A register in I/O space: width in bits, and how wide an access is (1: bytes ... 3: double words).
    func putRegister(_ port: UInt16, bits: UInt8, access: UInt8, at offset: Int) {
      put(UInt32(1) | UInt32(bits) << 8 | UInt32(access) << 24, at: offset)
      put(UInt64(port), at: offset + 4)
    }
    put(UInt32(facsAddress), at: 36)
    put(UInt32(dsdtAddress), at: 40)
    put(UInt16(acpiInterrupt), at: 46)
    put(UInt32(MachineLayout.Port.acpiEvent), at: 56)
    put(UInt32(MachineLayout.Port.acpiControl), at: 64)
    put(UInt32(MachineLayout.Port.acpiTimer), at: 76)
    put(UInt8(4), at: 88)
    put(UInt8(2), at: 89)
    put(UInt8(4), at: 91)
    // C2 and C3 take too long to be used.
    put(UInt16(0xFFF), at: 96)
    put(UInt16(0xFFF), at: 98)
    put(UInt8(0x32), at: 108)
    // Legacy devices, and no VGA; no keyboard controller to be probed.
    put(UInt16(0x0005), at: 109)
    // WBINVD works, C1 works, no power and sleep buttons, the reset register is there.
    put(UInt32(0x435), at: 112)
    putRegister(MachineLayout.Port.reset, bits: 8, access: 1, at: 116)
    put(UInt8(6), at: 128)
    put(UInt8(1), at: 131)
    put(facsAddress, at: 132)
    put(dsdtAddress, at: 140)
    putRegister(MachineLayout.Port.acpiEvent, bits: 32, access: 2, at: 148)
    putRegister(MachineLayout.Port.acpiControl, bits: 16, access: 2, at: 172)
    putRegister(MachineLayout.Port.acpiTimer, bits: 32, access: 3, at: 208)
    return bytes
  }

  /// The interrupt controllers (MADT), from offset 36 on.
  static func interruptControllers(_ processorCount: Int) -> [UInt8] {
    var bytes = AML.littleEndian(MachineLayout.localAPIC) + AML.littleEndian(UInt32(1))
    for index in 0..<processorCount {
      bytes += [0, 8, UInt8(index), UInt8(index)] + AML.littleEndian(UInt32(1))
    }
    bytes += [1, 12, 0, 0] + AML.littleEndian(MachineLayout.ioAPIC) + AML.littleEndian(UInt32(0))
    // The timer comes in at pin 2; ACPI's interrupt is active high and level-triggered.
    bytes += [2, 10, 0, 0] + AML.littleEndian(UInt32(2)) + [0, 0]
    bytes += [2, 10, 0, acpiInterrupt] + AML.littleEndian(UInt32(acpiInterrupt)) + [0x0D, 0]
    // LINT1 of all processors is the NMI.
    return bytes + [4, 6, 0xFF, 0, 0, 1]
  }

  private static func firmwareControl() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 64)
    bytes.replaceSubrange(0..<4, with: Array("FACS".utf8))
    bytes[4] = 64
    bytes[32] = 2
    return bytes
  }

  // MARK: Frames

  private static let vendor = Array("SYNTHG".utf8)

  private static func table(_ signature: String, revision: UInt8, _ content: [UInt8]) -> [UInt8] {
    let length = UInt32(36 + content.count)
    var bytes = Array(signature.utf8) + AML.littleEndian(length) + [revision, 0] + vendor
    bytes += Array("SYNTHGVM".utf8) + AML.littleEndian(UInt32(1)) + Array("SYNG".utf8) + AML.littleEndian(UInt32(1))
    bytes += content
    bytes[9] = checksum(bytes)
    return bytes
  }

  private static func rootPointer() -> [UInt8] {
    var bytes = Array("RSD PTR ".utf8) + [0] + vendor + [2] + AML.littleEndian(UInt32(0))
    bytes[8] = checksum(bytes)
    bytes += AML.littleEndian(UInt32(36)) + AML.littleEndian(xsdtAddress) + [0, 0, 0, 0]
    bytes[32] = checksum(bytes)
    return bytes
  }

  /// What makes the sum of all bytes zero.
  private static func checksum(_ bytes: [UInt8]) -> UInt8 {
    0 &- bytes.reduce(UInt8(0)) { $0 &+ $1 }
  }
}
