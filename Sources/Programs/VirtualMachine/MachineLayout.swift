/// Where things lie in the guest's physical memory, in bytes.
enum MachineLayout {
  /// The global descriptor table of the entry into the kernel.
  static let descriptorTable: UInt64 = 0x500
  /// What the boot protocol calls the zero page.
  static let bootParameters: UInt64 = 0x7000
  /// The top of the first stack.
  static let stack: UInt64 = 0x8000
  /// Page tables that map the first 4 GiB to themselves: one page each of the two upper levels, then four directories.
  static let pageTables: UInt64 = 0x9000
  /// The kernel's command line.
  static let commandLine: UInt64 = 0x20000
  /// What a PC keeps for its firmware, up to `highMemory`.
  static let firmware: UInt64 = 0x9_FC00
  /// The root of the ACPI tables.
  static let acpiRoot: UInt64 = 0xE_0000
  /// Memory that the kernel may use from here on.
  static let highMemory: UInt64 = 0x10_0000
  /// The window for devices with memory of their own, as ACPI tells it: nothing is there.
  static let deviceWindow: ClosedRange<UInt64> = 0xF800_0000...0xFBFF_FFFF
  /// The I/O APIC.
  static let ioAPIC: UInt32 = 0xFEC0_0000
  /// The local APICs.
  static let localAPIC: UInt32 = 0xFEE0_0000
  /// The most memory of a machine: below everything that is no memory.
  static let maximumMemory = 3 << 30

  /// I/O ports.
  enum Port {
    /// The serial ports, which are 8 ports each, and their interrupt lines.
    static let serial: [(base: UInt16, line: Int)] = [(0x3F8, 4), (0x2F8, 3)]
    /// The clock: index, then data.
    static let clock: UInt16 = 0x70
    /// Fixed hardware of ACPI: event block (4 bytes), control (2), timer (4).
    static let acpiEvent: UInt16 = 0x400
    /// Control of ACPI.
    static let acpiControl: UInt16 = 0x404
    /// The timer of ACPI.
    static let acpiTimer: UInt16 = 0x408
    /// The reset register.
    static let reset: UInt16 = 0xCF9
    /// The keyboard controller's command port, by which PCs are reset, too.
    static let keyboard: UInt16 = 0x64
    /// A register of the timer chip that delay loops look at.
    static let timerGate: UInt16 = 0x61
  }
}
