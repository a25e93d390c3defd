/// One image of a chain: its map and the file that the map speaks of.
struct ImageLayer: Sendable {
  /// Where the bytes stand.
  let map: any BlockMap
  /// The file.
  let file: ImageFile
}

/// What a differencing image says of its parent: untrusted text out of the file.
struct ParentReference: Sendable, Equatable {
  /// The format of the image, which is that of the parent, too.
  var format: DiskImage.Format
  /// Path of the image that has the parent, as it was opened.
  var childPath: String
  /// Paths to be tried, as they stand in the file, best first; each with the name of its field.
  var candidates: [(field: String, path: String)]
  /// What the parent must bear (VHDX: DataWriteGuid in braces; VHD: unique id as hexadecimal digits); one of them.
  var identities: [String]

  static func == (a: ParentReference, b: ParentReference) -> Bool {
    a.format == b.format && a.childPath == b.childPath && a.identities == b.identities
      && a.candidates.elementsEqual(b.candidates) { $0.field == $1.field && $0.path == $1.path }
  }
}

/// Finds and opens the parents of differencing images, read-only and locked shared.
protocol ParentResolver: Sendable {
  /// The chain above which the image stands: its parent first, the base last.
  ///
  /// - Parameter depth: how many images stand above the parent already, the leaf being the first.
  /// - Throws: `.chain` with what was tried, when no candidate exists, is allowed, or has the identity.
  func openParents(_ reference: ParentReference, depth: Int) throws(DiskImageError) -> [ImageLayer]
}
