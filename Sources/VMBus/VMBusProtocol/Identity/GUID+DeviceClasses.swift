/// Device classes: the interface GUID of an offer.
///
/// Values as in Linux `include/linux/hyperv.h` and OpenVMM.
extension GUID {
  /// The class "network adapter", f8615163-df3e-46c5-913f-f2d2f965ed0e.
  public static let network = GUID(0xf861_5163, 0xdf3e, 0x46c5, 0x913f_f2d2_f965_ed0e)
  /// The class "SCSI controller", ba6163d9-04a1-4d29-b605-72e2ffb1dc7f.
  public static let scsi = GUID(0xba61_63d9, 0x04a1, 0x4d29, 0xb605_72e2_ffb1_dc7f)
  /// The class "IDE controller", 32412632-86cb-44a2-9b5c-50d1417354f5.
  public static let ide = GUID(0x3241_2632, 0x86cb, 0x44a2, 0x9b5c_50d1_4173_54f5)
  /// The class "Fibre Channel adapter", 2f9bcc4a-0069-4af3-b76b-6fd0be528cda.
  public static let fibreChannel = GUID(0x2f9b_cc4a, 0x0069, 0x4af3, 0xb76b_6fd0_be52_8cda)
  /// The class "PCI pass-through", 44c4f61d-4444-4400-9d52-802e27ede19f.
  public static let pciPassThrough = GUID(0x44c4_f61d, 0x4444, 0x4400, 0x9d52_802e_27ed_e19f)
  /// The class "Network Direct", 8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501.
  public static let networkDirect = GUID(0x8c2e_af3d, 0x32a7, 0x4b09, 0xab99_bd1f_1c86_b501)
  /// The class "video", da0a7802-e377-4aac-8e77-0558eb1073f8.
  public static let video = GUID(0xda0a_7802, 0xe377, 0x4aac, 0x8e77_0558_eb10_73f8)
  /// The class "keyboard", f912ad6d-2b17-48ea-bd65-f927a61c7684.
  public static let keyboard = GUID(0xf912_ad6d, 0x2b17, 0x48ea, 0xbd65_f927_a61c_7684)
  /// The class "mouse", cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a.
  public static let mouse = GUID(0xcfa8_b69e, 0x5b4a, 0x4cc0, 0xb98b_8ba1_a1f3_f95a)
  /// The class "shutdown", 0e0b6031-5213-4934-818b-38d90ced39db.
  public static let shutdown = GUID(0x0e0b_6031, 0x5213, 0x4934, 0x818b_38d9_0ced_39db)
  /// The class "time synchronization", 9527e630-d0ae-497b-adce-e80ab0175caf.
  public static let timeSync = GUID(0x9527_e630, 0xd0ae, 0x497b, 0xadce_e80a_b017_5caf)
  /// The class "heartbeat", 57164f39-9115-4e78-ab55-382f3bd5422d.
  public static let heartbeat = GUID(0x5716_4f39, 0x9115, 0x4e78, 0xab55_382f_3bd5_422d)
  /// The class "key-value pair exchange", a9a0f4e7-5a45-4d96-b827-8a841e8c03e6.
  public static let keyValuePair = GUID(0xa9a0_f4e7, 0x5a45, 0x4d96, 0xb827_8a84_1e8c_03e6)
  /// The class "backup (VSS)", 35fa2e29-ea23-4236-96ae-3a6ebacba440.
  public static let backup = GUID(0x35fa_2e29, 0xea23, 0x4236, 0x96ae_3a6e_bacb_a440)
  /// The class "file copy", 34d14be3-dee4-41c8-9ae7-6b174977c192.
  public static let fileCopy = GUID(0x34d1_4be3, 0xdee4, 0x41c8, 0x9ae7_6b17_4977_c192)
  /// The class "dynamic memory", 525074dc-8985-46e2-8057-a307dc18a502.
  public static let dynamicMemory = GUID(0x5250_74dc, 0x8985, 0x46e2, 0x8057_a307_dc18_a502)
  /// The class "remote desktop virtualization", 276aacf4-ac15-426c-98dd-7521ad3f01fe.
  public static let remoteDesktop = GUID(0x276a_acf4, 0xac15, 0x426c, 0x98dd_7521_ad3f_01fe)
  /// The class "automatic activation (AVMA)", f8e65716-3cb3-4a06-9a60-1889c5cccab5.
  public static let activation = GUID(0xf8e6_5716, 0x3cb3, 0x4a06, 0x9a60_1889_c5cc_cab5)
  /// The class "inherited activation", 3375baf4-9e15-4b30-b765-67acb10d607b.
  public static let inheritedActivation = GUID(0x3375_baf4, 0x9e15, 0x4b30, 0xb765_67ac_b10d_607b)
  /// The class "initial machine configuration", c376c1c3-d276-48d2-90a9-c04748072c60.
  public static let initialMachineConfiguration = GUID(0xc376_c1c3, 0xd276, 0x48d2, 0x90a9_c047_4807_2c60)
  /// The class "UART", 8b60ccf6-709f-4c11-90b5-229c959a9e6a.
  public static let uart = GUID(0x8b60_ccf6, 0x709f, 0x4c11, 0x90b5_229c_959a_9e6a)
  /// The class "guest emulation transport", 8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0.
  public static let guestEmulation = GUID(0x8ded_d1aa, 0x9056, 0x49e4, 0xbfd6_1bf9_0dc3_8ef0)

  /// The class of the hvsock service at an `AF_VSOCK` port: the port stands in the first group.
  public static func socketService(port: UInt32) -> GUID {
    GUID(port, 0xfacb, 0x11e6, 0xbd58_6400_6a79_86d3)
  }

  /// The `AF_VSOCK` port when this is the class of a Linux hvsock service, else nil.
  public var socketServicePort: UInt32? {
    self == .socketService(port: first) ? first : nil
  }

  /// What a device of this class is, in plain words; nil for a class that is not known.
  public var className: String? {
    switch self {
    case .network: "network adapter"
    case .scsi: "SCSI controller"
    case .ide: "IDE controller"
    case .fibreChannel: "Fibre Channel adapter"
    case .pciPassThrough: "PCI pass-through"
    case .networkDirect: "Network Direct"
    case .video: "video"
    case .keyboard: "keyboard"
    case .mouse: "mouse"
    case .shutdown: "shutdown"
    case .timeSync: "time synchronization"
    case .heartbeat: "heartbeat"
    case .keyValuePair: "key-value pair exchange"
    case .backup: "backup (VSS)"
    case .fileCopy: "file copy"
    case .dynamicMemory: "dynamic memory"
    case .remoteDesktop: "remote desktop virtualization"
    case .activation: "automatic activation (AVMA)"
    case .inheritedActivation: "inherited activation"
    case .initialMachineConfiguration: "initial machine configuration"
    case .uart: "UART"
    case .guestEmulation: "guest emulation transport"
    default: socketServicePort.map { "hvsock port \($0)" }
    }
  }
}

/// Instances that every virtual machine has once, with the same GUID on each.
extension GUID {
  /// The shutdown device, b6650ff7-33bc-4840-8048-e0676786f393.
  public static let shutdownInstance = GUID(0xb665_0ff7, 0x33bc, 0x4840, 0x8048_e067_6786_f393)
  /// The time synchronization device, 2dd1ce17-079e-403c-b352-a1921ee207ee.
  public static let timeSyncInstance = GUID(0x2dd1_ce17, 0x079e, 0x403c, 0xb352_a192_1ee2_07ee)
  /// The heartbeat device, fd149e91-82e0-4a7d-afa6-2a4166cbd7c0 (as `lsvmbus` shows it on Hyper-V).
  public static let heartbeatInstance = GUID(0xfd14_9e91, 0x82e0, 0x4a7d, 0xafa6_2a41_66cb_d7c0)
  /// The key-value pair device, 242ff919-07db-4180-9c2e-b86cb68c8c55.
  public static let keyValuePairInstance = GUID(0x242f_f919, 0x07db, 0x4180, 0x9c2e_b86c_b68c_8c55)
  /// The mouse device, 58f75a6d-d949-4320-99e1-a2a2576d581c.
  public static let mouseInstance = GUID(0x58f7_5a6d, 0xd949, 0x4320, 0x99e1_a2a2_576d_581c)
  /// The keyboard device, d34b2567-b9b6-42b9-8778-0a4ec0b955bf.
  public static let keyboardInstance = GUID(0xd34b_2567, 0xb9b6, 0x42b9, 0x8778_0a4e_c0b9_55bf)
  /// The file copy device, eb765408-105f-49b6-b4aa-c123b64d17d4.
  public static let fileCopyInstance = GUID(0xeb76_5408, 0x105f, 0x49b6, 0xb4aa_c123_b64d_17d4)
}
