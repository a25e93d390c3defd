extension DiskImage.Options {
  /// Finds the parents of the image at `path`.
  func resolver(for path: String) -> any ParentResolver {
    if let parents { return parents }
    if !parentPaths.isEmpty { return ListedChain(paths: parentPaths, leaf: path) }
    return ChainResolver(leaf: path, directories: parentDirectories)
  }
}
