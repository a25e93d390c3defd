import Block
import ImageFormats
import LinuxIO
import SharedMemory

extension DiskImage {
  /// Writes what a differencing image has into its parent, which then reads as the child did. Nobody may use either of
  /// them, and no other child may stand above the parent.
  ///
  /// The child stays valid until all is done: interrupted, a merge can be done again. Afterwards the parent bears another
  /// identity where the format has one (VHDX), so that no child is used above it by mistake.
  ///
  /// - Parameters:
  ///   - path: of the child, which is not changed.
  ///   - options: where parents may stand.
  ///   - progress: told of bytes of the disk that have been looked at; false ends the merge early.
  /// - Returns: the path of the parent.
  /// - Throws: `img.noparent`, `img.stopped`, `img.io`, any other `DiskImageError`.
  public static func merge(
    _ path: String, options: Options = Options(), progress: (_ done: UInt64, _ total: UInt64) -> Bool = { _, _ in true }
  ) throws(DiskImageError) -> String {
    if isRemote(path) { throw .remote }
    var readOptions = options
    readOptions.isReadOnly = true
    // The chain is opened as a whole once, so that everything is known to fit.
    let chain = try open(path, options: readOptions)
    guard let mapped = chain as? MappedImage, mapped.chainPaths.count > 1 else {
      throw .fault(ImageFault("img.noparent", "it is no differencing image: there is nothing to merge it into"))
    }
    let parentPath = mapped.chainPaths[1]
    let total = mapped.info.byteCount
    try chain.close()

    let source = try ImageSource.find(path, isReadOnly: false)
    let format = try actualFormat(source, options.format)
    var childOptions = Options()
    childOptions.isReadOnly = true
    let child =
      try format == .vhd
      ? VHDImage.openLayer(source, options: childOptions).layer : VHDXImage.openLayer(source, options: childOptions).0
    defer { child.file.unlock() }

    let parentDescription = try describe(parentPath)
    if parentDescription.diskByteCount < total {
      try resize(parentPath, to: total, mayShrink: false, format: .automatic, keepsIdentity: true)
    }
    var parentOptions = options
    parentOptions.isReadOnly = false
    parentOptions.format = .automatic
    parentOptions.keepsIdentity = true
    if !options.parentPaths.isEmpty { parentOptions.parentPaths = Array(options.parentPaths.dropFirst()) }
    let parent = try open(parentPath, options: parentOptions)
    do throws(BlockError) {
      try copy(child, to: parent, total: total, progress: progress)
    } catch {
      try? parent.close()
      throw error == .gone
        ? .fault(ImageFault("img.stopped", "it was stopped; the child is valid, and the merge can be done again"))
        : .fault(ImageFault("img.io", "\(error); the child is valid, and the merge can be done again"))
    }
    try parent.close()
    if format == .vhdx { try VHDXImage.renew(parentPath) }
    return parentPath
  }

  private static func copy(
    _ child: ImageLayer, to parent: any OpenedImage, total: UInt64, progress: (UInt64, UInt64) -> Bool
  ) throws(BlockError) {
    let queue = try SerialQueue(parent)
    defer { queue.close() }
    let memory = try parent.allocateMemory(byteCount: 1 << 20)
    var position: UInt64 = 0
    while position < total {
      if !progress(position, total) { throw .gone }
      switch child.map.locate(position, min(total - position, 1 << 20)) {
      case .data(let fileOffset, let count):
        let part = memory.slice(at: 0, count: Int(count))
        do throws(Errno) { try part.read(from: child.file.descriptor, at: fileOffset) } catch {
          throw blockError(error)
        }
        try queue.perform(.write, offset: position, byteCount: count, memory: part)
        position += count
      case .zero(let count):
        try queue.perform(.writeZeroes, offset: position, byteCount: count, flags: [.mayUnmap])
        position += count
      case .parent(let count): position += count
      case .failed(let error): throw error
      }
    }
    try queue.perform(.flush)
    _ = progress(total, total)
  }
}

extension VHDXImage {
  /// Gives an image that is closed a new identity for its children.
  static func renew(_ path: String) throws(DiskImageError) {
    let source = try ImageSource.find(path, isReadOnly: false)
    let file = ImageFile(path: path, file: source.releaseFile())
    try file.lock(exclusive: true)
    defer { file.unlock() }
    let (header, slot) = try VHDXStructure.currentHeader(file)
    var writer = VHDXHeaderWriter(header: header, slot: slot)
    writer.header.fileWriteGUID = .random()
    writer.header.dataWriteGUID = .random()
    try system("write its header") { () throws(Errno) in
      try writer.write(to: file)
      try writer.place(in: file)
      try file.synchronize()
    }
  }
}
