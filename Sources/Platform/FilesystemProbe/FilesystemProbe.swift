import CBlkid

/// What stands on a disk or a partition, as libblkid finds it.
public struct ProbedFilesystem: Sendable, Equatable {
  /// The type as mount(8) names it: `ext4`, `xfs`, `ntfs`, `vfat`, `swap`, `crypto_LUKS` ...
  public let type: String
  /// Whether it is a filesystem, and not swap, RAID or encryption.
  public let isFilesystem: Bool
  /// The label, if it has one.
  public let label: String?
  /// The UUID as text, if it has one.
  public let uuid: String?

  /// A finding.
  public init(type: String, isFilesystem: Bool = true, label: String? = nil, uuid: String? = nil) {
    self.type = type
    self.isFilesystem = isFilesystem
    self.label = label
    self.uuid = uuid
  }
}

/// The ways in which a probe gives no answer.
public enum ProbeError: Error, Sendable {
  /// The file can't be read.
  case unreadable
  /// Signatures of several filesystems are there at once.
  case ambiguous
}

/// Looks for the signature of a filesystem in the open file `descriptor`; nil when there is none.
///
/// - Parameters:
///   - byteOffset: where the filesystem would start.
///   - byteCount: how long it could be.
/// - Throws: `.unreadable`, `.ambiguous`.
public func probeFilesystem(
  descriptor: Int32, byteOffset: UInt64, byteCount: UInt64
) throws(ProbeError) -> ProbedFilesystem? {
  // SAFETY: the probe is used here only and freed at the end; its texts are copied.
  guard let probe = unsafe blkid_new_probe() else { throw .unreadable }
  defer { unsafe blkid_free_probe(probe) }
  guard unsafe blkid_probe_set_device(probe, descriptor, Int64(byteOffset), Int64(byteCount)) == 0 else {
    throw .unreadable
  }
  unsafe blkid_probe_enable_superblocks(probe, 1)
  let wanted = BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID | BLKID_SUBLKS_USAGE
  unsafe blkid_probe_set_superblocks_flags(probe, wanted)
  switch unsafe blkid_do_safeprobe(probe) {
  case 0: break
  case 1: return nil
  case -2: throw .ambiguous
  default: throw .unreadable
  }
  func value(_ name: String) -> String? {
    var text: UnsafePointer<CChar>?
    // SAFETY: the text belongs to the probe and is copied at once.
    guard unsafe blkid_probe_lookup_value(probe, name, &text, nil) == 0, let text = unsafe text else { return nil }
    return unsafe String(cString: text)
  }
  guard let type = value("TYPE") else { return nil }
  return ProbedFilesystem(
    type: type, isFilesystem: value("USAGE") == "filesystem", label: value("LABEL"), uuid: value("UUID"))
}
