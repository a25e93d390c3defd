import ImageFormats
import LinuxIO

/// Finds parents by the paths in their children, and only inside directories that are allowed: paths come out of files
/// that nobody vouches for.
struct ChainResolver: ParentResolver {
  /// Directories in which parents may stand, as canonical paths.
  let directories: [String]
  /// The canonical path of the leaf, which is no parent of its own.
  let leaf: String

  /// How many images a chain has at most.
  static let depthLimit = 64

  /// - Parameters:
  ///   - leaf: path of the image whose chain is to be found; parents may always stand in its directory.
  ///   - directories: where they may stand besides.
  init(leaf: String, directories: [String]) {
    self.leaf = (try? canonicalPath(leaf)) ?? leaf
    self.directories = [parentDirectory(self.leaf)] + directories.compactMap { try? canonicalPath($0) }
  }

  func openParents(_ reference: ParentReference, depth: Int) throws(DiskImageError) -> [ImageLayer] {
    var walk = ChainWalk(leaf: leaf)
    var layers: [ImageLayer] = []
    var next: ParentReference? = reference
    while let reference = next {
      try walk.descend(from: reference.childPath, depth: depth + layers.count)
      let source = try find(reference)
      try walk.visit(source.file, child: reference.childPath)
      let (layer, parent) = try openParent(source, reference)
      layers.append(layer)
      next = parent
    }
    return layers
  }

  /// Opens the file of the parent that the reference means.
  private func find(_ reference: ParentReference) throws(DiskImageError) -> ImageSource {
    let child = (try? canonicalPath(reference.childPath)) ?? reference.childPath
    let base = parentDirectory(child)
    var tried: [String] = []
    var denied: String?
    for (field, text) in reference.candidates where ParentPath.isRelative(field: field) {
      guard let path = ParentPath.join(base, text) else {
        denied = denied ?? text
        continue
      }
      guard let root = directories.first(where: { ParentPath.relative(path, to: $0) != nil }),
        let inside = ParentPath.relative(path, to: root)
      else {
        denied = denied ?? text
        continue
      }
      if tried.contains(path) { continue }
      tried.append(path)
      do throws(Errno) {
        let directory = try OwnedDescriptor.openDirectory(root)
        let file = try directory.openBeneath(inside)
        try file.setBlocking()
        let facts = try FileInfo(descriptor: file.number)
        guard facts.kind == .regular else { throw .EXDEV }
        return ImageSource(path: path, facts: facts, file: file, isReadOnly: true)
      } catch {
        switch error {
        case .ENOENT, .ENOTDIR: continue
        // A symbolic link, a device, or a way out of the directory.
        case .EXDEV, .ELOOP, .ENXIO: denied = denied ?? text
        case .EACCES, .EPERM: throw .fault(ImageFault("chain.missing", "parent \(path) can't be read: \(error)"))
        default: throw .system(what: "open the parent \(path)", error)
        }
      }
    }
    if let denied {
      throw .fault(
        ImageFault(
          "chain.denied",
          "parent path \(printable(denied)) of \(reference.childPath) leaves the allowed directories "
            + directories.joined(separator: ", ")))
    }
    let names =
      tried.isEmpty
      ? reference.candidates.map { "\($0.field) \(printable($0.path))" } : tried.map { printableText($0) }
    throw .fault(
      ImageFault(
        "chain.missing",
        "parent of \(reference.childPath) not found: "
          + (names.isEmpty ? "it names none" : "tried \(names.joined(separator: ", "))")))
  }
}

/// Opens the chain that somebody has listed; what stands in the files only confirms it.
struct ListedChain: ParentResolver {
  /// The images above which the leaf stands, its parent first.
  let paths: [String]
  let leaf: String

  func openParents(_ reference: ParentReference, depth: Int) throws(DiskImageError) -> [ImageLayer] {
    var walk = ChainWalk(leaf: leaf)
    var layers: [ImageLayer] = []
    var next: ParentReference? = reference
    var left = paths[...]
    while let reference = next {
      try walk.descend(from: reference.childPath, depth: depth + layers.count)
      guard let path = left.popFirst() else {
        throw .fault(
          ImageFault("chain.missing", "parent of \(reference.childPath) is not listed: tried \(paths.count) images"))
      }
      let source = try ImageSource.find(path, isReadOnly: true)
      try walk.visit(source.file, child: reference.childPath)
      let (layer, parent) = try openParent(source, reference)
      layers.append(layer)
      next = parent
    }
    if let extra = left.first {
      throw .fault(ImageFault("chain.linkage", "\(extra) is listed, but the image before it has no parent"))
    }
    return layers
  }
}

/// Opens a parent that was found, and checks that it is the one that is meant.
private func openParent(
  _ source: consuming ImageSource, _ reference: ParentReference
) throws(DiskImageError) -> (ImageLayer, ParentReference?) {
  let path = source.path
  let found: FoundParent
  do throws(DiskImageError) { found = try open(source, format: reference.format) } catch {
    throw name(error, path)
  }
  guard let found else {
    throw .fault(
      ImageFault("chain.linkage", "parent \(path) of \(reference.childPath) is no \(reference.format.rawValue) image"))
  }
  guard reference.identities.contains(where: { $0.lowercased() == found.identity.lowercased() }) else {
    throw .fault(
      ImageFault(
        "chain.linkage",
        "\(path) was changed after \(reference.childPath) was created; using it would corrupt data "
          + "(it is \(found.identity), the child wants \(reference.identities.joined(separator: " or ")))"))
  }
  return (found.layer, found.parent)
}

private typealias FoundParent = (layer: ImageLayer, identity: String, parent: ParentReference?)?

/// Opens an image of a chain if it has the format of its child; nil otherwise.
private func open(
  _ source: consuming ImageSource, format: DiskImage.Format
) throws(DiskImageError) -> FoundParent {
  let path = source.path
  var options = DiskImage.Options()
  options.isReadOnly = true
  switch (format, source.signature()) {
  case (.vhdx, .vhdx):
    let (layer, locator) = try VHDXImage.openLayer(source, options: options)
    let identity = "{\(try VHDXImage.dataWriteGUID(layer.file))}"
    return (layer, identity, locator.map { VHDXImage.parentReference($0, of: path) })
  case (.vhd, .vhd):
    let opened = try VHDImage.openLayer(source, options: options)
    return (opened.layer, "\(opened.id)", opened.parent)
  default: return nil
  }
}

/// Puts the name of the parent in front of what is wrong with it.
private func name(_ error: DiskImageError, _ path: String) -> DiskImageError {
  switch error {
  case .fault(var fault):
    fault.text = "parent \(path): \(fault.text)"
    return .fault(fault)
  case .inUse(let holder): return .inUse(holder: (holder ?? "somebody") + ", namely its parent \(path)")
  default: return error
  }
}

/// A path out of an image, in quotes, cut where it is long.
private func printable(_ text: String) -> String { "'\(printableText(String(text.prefix(200))))'" }

/// Sees that a chain ends.
struct ChainWalk {
  private var seen: Set<FileIdentity> = []
  private let leaf: String

  init(leaf: String) {
    self.leaf = leaf
    if let file = try? OwnedDescriptor.openForIdentity(leaf), let identity = try? FileIdentity(file) {
      seen.insert(identity)
    }
  }

  /// One image more.
  func descend(from child: String, depth: Int) throws(DiskImageError) {
    if depth >= ChainResolver.depthLimit {
      throw .fault(
        ImageFault("chain.depth", "disk chain of \(leaf) has more than \(ChainResolver.depthLimit) images"))
    }
  }

  /// The parent of `child` is this file.
  mutating func visit(_ file: borrowing OwnedDescriptor, child: String) throws(DiskImageError) {
    let identity: FileIdentity
    do throws(Errno) { identity = try FileIdentity(file) } catch { throw .system(what: "look at its parent", error) }
    guard seen.insert(identity).inserted else {
      throw .fault(ImageFault("chain.loop", "disk chain of \(leaf) contains itself (at the parent of \(child))"))
    }
  }
}
