import FoundationEssentials
import LinuxIO
import VMBusProtocol

/// A device that `synthgate attach` has taken from a driver of the kernel, as /run/synthgate remembers it.
struct AttachmentRecord: Codable, Equatable {
  /// Instance of the device.
  var instance: String
  /// Class of the device.
  var interfaceClass: String
  /// The driver that had it; nil when none had.
  var formerDriver: String?
}

/// What the process that drives an attached device tells about it.
struct DeviceUse: Codable, Equatable {
  /// The process.
  var process: Int32
  /// What it does, for messages: `mounted at /srv/data`.
  var purpose: String
  /// The disks of the controller.
  var disks: [DiskReport] = []
}

/// The right of this process to drive an attached device. It goes with the process.
final class DeviceClaim: Sendable {
  let instance: GUID
  private let runtime: RuntimeDirectory
  private let lock: OwnedDescriptor

  fileprivate init(_ instance: GUID, _ runtime: RuntimeDirectory, _ lock: consuming OwnedDescriptor) {
    self.instance = instance
    self.runtime = runtime
    self.lock = lock
  }

  deinit {
    _ = try? FileManager.default.removeItem(atPath: runtime.attachmentDirectory(instance) + "/use.json")
  }

  /// Says what the device is used for.
  func write(_ use: DeviceUse) throws(GatewayError) {
    try writeStateFile(use, to: runtime.attachmentDirectory(instance) + "/use.json")
  }
}

extension RuntimeDirectory {
  /// Where what is known of an attached device stands.
  func attachmentDirectory(_ instance: GUID) -> String { "\(path)/attachments/\(instance)" }

  /// The devices that have been attached, as far as is remembered.
  func attachedInstances() -> [GUID] {
    directoryEntries("\(path)/attachments").compactMap { GUID($0) }.sorted()
  }

  func attachment(_ instance: GUID) -> AttachmentRecord? {
    readStateFile(AttachmentRecord.self, at: attachmentDirectory(instance) + "/state.json")
  }

  func save(_ record: AttachmentRecord, for instance: GUID) throws(GatewayError) {
    let directory = attachmentDirectory(instance)
    do { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) } catch {
      throw GatewayError(.notPermitted, what: "create \(directory)", why: "the directory can't be made")
    }
    try writeStateFile(record, to: directory + "/state.json")
  }

  func removeAttachment(_ instance: GUID) {
    _ = try? FileManager.default.removeItem(atPath: attachmentDirectory(instance))
  }

  /// What another process does with an attached device; nil while none has said so.
  func use(of instance: GUID) -> DeviceUse? {
    readStateFile(DeviceUse.self, at: attachmentDirectory(instance) + "/use.json")
  }

  /// Takes the right to drive an attached device.
  ///
  /// - Returns: nil while another process has it.
  func claimDevice(_ instance: GUID) throws(GatewayError) -> DeviceClaim? {
    let directory = attachmentDirectory(instance)
    _ = try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    do throws(Errno) {
      let file = try OwnedDescriptor.openLockFile(directory + "/lock")
      do throws(Errno) { try file.lock(exclusive: true) } catch {
        if error == .EAGAIN || error == .EACCES { return nil }
        throw error
      }
      // The lock of one that was killed is gone, its words are not.
      _ = try? FileManager.default.removeItem(atPath: directory + "/use.json")
      return DeviceClaim(instance, self, file)
    } catch {
      throw GatewayError(
        error == .EACCES || error == .EPERM ? .notPermitted : .failed, what: "lock \(directory)", why: "\(error)")
    }
  }

  /// Like `claimDevice`, but waits while another process only looks at the device, at most ten seconds.
  func awaitClaim(_ instance: GUID) throws(GatewayError) -> DeviceClaim? {
    let deadline = monotonicNanoseconds() + 10_000_000_000
    while true {
      if let claim = try claimDevice(instance) { return claim }
      guard use(of: instance) == nil, monotonicNanoseconds() < deadline else { return nil }
      sleepThread(nanoseconds: 20_000_000)
    }
  }
}
