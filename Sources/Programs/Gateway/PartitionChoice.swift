import FilesystemProbe

/// A place on a disk that could be mounted.
struct MountCandidate: Sendable, Equatable {
  /// Number of the partition; nil for the whole disk.
  var partition: Int?
  /// File of the partition or disk.
  var file: String
  /// What stands there, if anything was found.
  var filesystem: ProbedFilesystem?

  /// How it is named in messages: `partition 1 (ext4, "data")`.
  var label: String {
    let place = partition.map { "partition \($0)" } ?? "the whole disk"
    guard let filesystem else { return "\(place) (nothing recognized)" }
    let name = filesystem.label.map { ", \"\($0)\"" } ?? ""
    return "\(place) (\(filesystem.type)\(name))"
  }
}

/// Chooses what to mount: the partition that was asked for, or the only one with a filesystem.
///
/// - Throws: `.notFound` when there is none, `.usage` when there are several, with the candidates.
func chooseCandidate(
  _ candidates: [MountCandidate], partition: Int?, source: String
) throws(GatewayError) -> MountCandidate {
  let what = "mount \(source)"
  let list = candidates.map(\.label).joined(separator: ", ")
  if let partition {
    guard let found = candidates.first(where: { $0.partition == partition }) else {
      let numbers = candidates.compactMap(\.partition)
      throw GatewayError(
        .notFound, what: what, why: "there is no partition \(partition)",
        advice: numbers.isEmpty ? "the disk has no partitions; leave --partition out" : "the disk has: \(list)")
    }
    return found
  }
  let mountable = candidates.filter { $0.filesystem?.isFilesystem == true }
  switch mountable.count {
  case 1: return mountable[0]
  case 0:
    throw GatewayError(
      .notFound, what: what, why: "no filesystem was found on it (\(list))",
      advice: "use --filesystem none for the raw disk, or --filesystem TYPE to try one")
  default:
    throw GatewayError(
      .usage, what: what, why: "several filesystems are on it: \(mountable.map(\.label).joined(separator: ", "))",
      advice: "choose one with --partition N")
  }
}
