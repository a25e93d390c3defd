import ArgumentParser

/// Where the bytes of the image come from.
enum CacheMode: String, Codable, CaseIterable, ExpressibleByArgument {
  /// The image is in the page cache, and the servers use it.
  case buffered
  /// The image is on disk, and the servers go past the page cache.
  case direct

  var title: String {
    switch self {
    case .buffered: "Image in the page cache"
    case .direct: "Image on disk, past the page cache"
    }
  }
}

/// What the bytes of the disk are stored in.
enum ImageKind: String, Codable {
  case raw
  /// Dynamic, in blocks of 1 MiB.
  case vhdx
}

/// Somebody who makes a file of an image.
enum Peer: String, Codable, CaseIterable, ExpressibleByArgument {
  /// The image itself: the limit.
  case bare
  /// qemu-storage-daemon's FUSE export.
  case qemu
  /// A FUSE server that answers at once from memory: the limit of anything that FUSE serves.
  case null
  /// DiskFS straight over the image, without VMBus.
  case diskfs
  /// `synthgate mount` with the embedded host.
  case embedded
  /// `synthgate host` and `synthgate mount` in two processes.
  case socket

  var title: String {
    switch self {
    case .bare: "bare file"
    case .qemu: "qemu-storage-daemon"
    case .null: "null FUSE server"
    case .diskfs: "DiskFS over image"
    case .embedded: "synthgate embedded"
    case .socket: "synthgate 2 processes"
    }
  }
}

/// The programs that the peers are made of.
struct PeerPrograms {
  /// This program.
  var benchmark: String
  /// Nil when it is not installed.
  var qemu: String?
  /// Nil when it was not built.
  var synthgate: String?
  /// Threads of each FUSE server that can be told; nil for their own choice.
  var workers: Int?
  /// What the images are.
  var kind = ImageKind.raw

  private var workerArguments: [String] { workers.map { ["--workers", "\($0)"] } ?? [] }

  /// The command lines of a peer's processes in the order of their start. Before the next one starts, what `awaits`
  /// names must exist.
  ///
  /// - Parameters:
  ///   - image: path of the image.
  ///   - directory: an empty directory for the peer's own files.
  func commands(_ peer: Peer, image: String, size: UInt64, cache: CacheMode, directory: String) -> [PeerCommand]? {
    let mountPoint = "\(directory)/mount"
    switch peer {
    case .bare: return []
    case .qemu:
      guard let qemu else { return nil }
      return [
        PeerCommand([
          qemu, "--blockdev", "file,node-name=file,filename=\(image),cache.direct=\(cache == .direct ? "on" : "off")",
          "--blockdev", "\(kind.rawValue),node-name=disk,file=file",
          "--export", "fuse,id=export,node-name=disk,mountpoint=\(directory)/whole,writable=on,growable=off",
        ])
      ]
    case .null:
      return [PeerCommand([benchmark, "serve-null", mountPoint, "--size", "\(size)"] + workerArguments)]
    case .diskfs:
      return [PeerCommand([benchmark, "serve-direct", image, mountPoint, "--cache", cache.rawValue] + workerArguments)]
    case .embedded:
      guard let synthgate else { return nil }
      return [
        PeerCommand(
          [synthgate, "mount", image, mountPoint, "--filesystem", "none", "--cache", cache.rawValue, "--foreground"]
            + workerArguments)
      ]
    case .socket:
      guard let synthgate else { return nil }
      let mount = [
        synthgate, "mount", "--bus", "socket:\(directory)/host.sock", "lun=0:0", mountPoint, "--filesystem", "none",
        "--foreground",
      ]
      return [
        PeerCommand([synthgate, "host", "--config", "\(directory)/host.yaml"], awaits: "\(directory)/host.sock"),
        PeerCommand(mount + workerArguments),
      ]
    }
  }
}

extension PeerPrograms {
  /// The command lines of each peer's processes, for people.
  func commandLines(_ settings: StorageSettings) -> [String: [String]] {
    var lines: [String: [String]] = [:]
    for peer in settings.peers {
      lines[peer.rawValue] = commands(
        peer, image: "IMAGE", size: settings.size, cache: .buffered, directory: "DIR")?
        .map { $0.arguments.joined(separator: " ") }
    }
    return lines
  }
}

/// How one process of a peer is started.
struct PeerCommand {
  var arguments: [String]
  var awaits: String?

  init(_ arguments: [String], awaits: String? = nil) {
    self.arguments = arguments
    self.awaits = awaits
  }
}
