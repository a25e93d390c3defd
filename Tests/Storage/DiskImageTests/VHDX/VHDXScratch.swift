import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import WireBytes

extension Scratch {
  /// A new image made by this program.
  func vhdx(
    _ name: String = "disk.vhdx", byteCount: UInt64, _ change: (inout VHDXCreation) -> Void = { _ in }
  ) throws -> String {
    var creation = VHDXCreation(diskByteCount: byteCount)
    creation.blockByteCount = 1 << 20
    change(&creation)
    let path = "\(directory)/\(name)"
    try creation.write(to: path)
    return path
  }

  /// A new child of the image at `parent`.
  func child(
    _ name: String = "child.vhdx", of parent: String, byteCount: UInt64,
    _ change: (inout VHDXCreation) -> Void = { _ in }
  ) throws -> String {
    let file = ImageFile(path: parent, file: try OwnedDescriptor.open(parent, flags: 0))
    let identity = try VHDXImage.dataWriteGUID(file)
    return try vhdx(name, byteCount: byteCount) {
      let name = parent.split(separator: "/").last.map(String.init) ?? parent
      $0.parent = .init(identity: identity, relativePath: ".\\" + name)
      change(&$0)
    }
  }
}

/// Finds parents in the directory of the child, and checks their identity.
struct SameDirectory: ParentResolver {
  func openParents(_ reference: ParentReference, depth: Int) throws(DiskImageError) -> [ImageLayer] {
    let name = reference.candidates[0].path.split(separator: "\\").last.map(String.init) ?? ""
    let path = parentDirectory(reference.childPath) + "/" + name
    var options = DiskImage.Options()
    options.isReadOnly = true
    let (layer, locator) = try VHDXImage.openLayer(ImageSource.find(path, isReadOnly: true), options: options)
    let identity = try VHDXImage.dataWriteGUID(layer.file)
    guard reference.identities.contains("{\(identity)}") else {
      throw .fault(ImageFault("chain.linkage", "\(path) was changed after \(reference.childPath) was created"))
    }
    guard let locator else { return [layer] }
    return try [layer] + openParents(VHDXImage.parentReference(locator, of: path), depth: depth + 1)
  }
}

/// Options with parents in the same directory.
func vhdxOptions(isReadOnly: Bool = false, observer: (any FileObserver)? = nil) -> DiskImage.Options {
  var options = DiskImage.Options()
  options.isReadOnly = isReadOnly
  options.parents = SameDirectory()
  options.observer = observer
  return options
}

/// What opening an image throws; nil when it opens.
func openError(_ path: String, _ options: DiskImage.Options = vhdxOptions()) -> DiskImageError? {
  do throws(DiskImageError) { try DiskImage.open(path, options: options).close() } catch { return error }
  return nil
}

/// The code of the fault that opening an image throws.
func openFault(_ path: String, _ options: DiskImage.Options = vhdxOptions()) -> String? {
  if case .fault(let fault)? = openError(path, options) { return fault.code }
  return nil
}

/// The bytes of a file.
func contents(_ path: String) throws -> [UInt8] {
  let file = try OwnedDescriptor.open(path, flags: 0)
  return try readBytes(file.number, at: 0, count: Int(try FileInfo(descriptor: file.number).byteCount))
}

/// Puts bytes into a file.
func patch(_ path: String, at offset: UInt64, _ bytes: [UInt8]) throws {
  let file = try OwnedDescriptor.open(path, flags: 2)
  try writeBytes(bytes, to: file.number, at: offset)
}

/// Little-endian bytes of a number.
func le64(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) } }
func le32(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) } }
