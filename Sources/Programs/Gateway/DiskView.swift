import Block
import DiskFS
import FilesystemProbe
import FoundationEssentials
import LinuxIO
import Storvsc
import Synchronization

/// The raw view of a disk: its FUSE filesystem, with the partitions that its table names.
final class DiskView: Sendable {
  private let files: DiskFS
  private let directory: String
  let partitions: [Partition]
  private let disk: StorvscDisk

  /// Mounts the files at `directory`, which is made unless it is there.
  init(
    disk: StorvscDisk, name: String, directory: String, isReadOnly: Bool, options: DiskFSOptions, what: String,
    log: MountLog
  ) throws(GatewayError) {
    self.disk = disk
    self.directory = directory
    do { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) } catch {
      throw GatewayError(.notPermitted, what: what, why: "\(directory) can't be made")
    }
    var options = options
    options.isReadOnly = isReadOnly
    let files: DiskFS
    do throws(DiskFSError) {
      files = try DiskFS(device: disk, mountPoint: directory, options: options)
      try files.start()
    } catch {
      throw GatewayError(
        error.isPermission ? .notPermitted : .failed, what: what, why: "the disk can't be shown: \(error)",
        advice: error.advice)
    }
    for warning in files.warnings { log.write("\(warning.what): \(warning.errno)") }
    let found: [Partition]
    do throws(Errno) {
      let opened = try OwnedDescriptor.open(directory + "/whole", flags: 0)
      found = Self.readPartitions(opened.number, info: disk.info, log: log)
    } catch {
      files.stop()
      throw GatewayError(.failed, what: what, why: "the disk can't be read: \(error)")
    }
    do throws(DiskFSError) {
      try files.setPartitions(
        found.map { DiskPartition(name: "p\($0.number)", offset: $0.offset, byteCount: $0.byteCount) })
    } catch {
      log.write("partitions: \(error)")
    }
    self.files = files
    partitions = found
    files.setInfo(info(name: name))
  }

  private static func readPartitions(_ file: Int32, info: BlockDeviceInfo, log: MountLog) -> [Partition] {
    do throws(PartitionTableError) {
      let table = try PartitionTable(
        byteCount: info.byteCount, sectorByteCount: info.sectorByteCount
      ) { offset, count throws(BlockError) in
        do throws(Errno) { return try readBytes(file, at: offset, count: count) } catch { throw BlockError(error) }
      }
      for note in table.notes { log.write("partition table: \(note)") }
      return table.partitions
    } catch {
      log.write("partition table: \(error)")
      return []
    }
  }

  /// Places that could be mounted: each partition, or the whole disk where there are none.
  func candidates(anything: Bool) throws(GatewayError) -> [MountCandidate] {
    let size = disk.info.byteCount
    if partitions.isEmpty {
      return [MountCandidate(partition: nil, file: directory + "/whole", filesystem: probe(at: 0, size))]
    }
    return partitions.map { partition in
      MountCandidate(
        partition: partition.number, file: directory + "/p\(partition.number)",
        filesystem: probe(at: partition.offset, partition.byteCount))
    }
  }

  private func probe(at offset: UInt64, _ byteCount: UInt64) -> ProbedFilesystem? {
    // Opened for each look only: an open file would keep the mount busy.
    guard let whole = try? OwnedDescriptor.open(directory + "/whole", flags: 0) else { return nil }
    return (try? probeFilesystem(descriptor: whole.number, byteOffset: offset, byteCount: byteCount)) ?? nil
  }

  /// What `disks` shows of the partitions.
  var partitionReports: [PartitionReport] {
    partitions.map { partition in
      PartitionReport(
        number: partition.number, path: directory + "/p\(partition.number)", offset: partition.offset,
        size: partition.byteCount, type: partition.type, label: partition.name.isEmpty ? nil : partition.name,
        filesystem: probe(at: partition.offset, partition.byteCount)?.type)
    }
  }

  private func info(name: String) -> [UInt8] {
    let report = DiskReport(
      NamedDisk(name: name, disk: disk), name: name, partitions: partitionReports, path: directory + "/whole",
      mount: nil)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(report)).map { Array($0) + [0x0a] } ?? []
  }

  var isServing: Bool { files.isServing }
  var counters: DiskFSCounters { files.counters }

  /// The disk has another size or may no longer be written.
  func deviceChanged() {
    files.deviceChanged()
  }

  /// Unmounts the files; the directory stays.
  func close() {
    files.stop()
  }
}

extension DiskReport {
  init(_ named: NamedDisk, name: String, partitions: [PartitionReport], path: String?, mount: String?) {
    let info = named.disk.info
    self.init(
      name: name, path: path, size: info.byteCount, sectorSize: info.sectorByteCount, readOnly: info.isReadOnly,
      serial: info.serial, model: "\(named.disk.vendor) \(named.disk.product)",
      controller: "\(named.disk.controller.instance)", target: Int(named.disk.target), lun: Int(named.disk.lun),
      partitions: partitions, mount: mount)
  }
}
