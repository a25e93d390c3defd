/// Targets that may contain unsafe code.
private let unsafeTargets: Set = [
  "WireBytes", "LinuxIO", "SharedMemory", "URing", "FUSEBridge", "NetlinkRoute", "YAMLDocument", "FilesystemProbe",
  "KVM", "NBDConnection",
]

/// `unsafe` stands only on the lowest floor, under a comment that says why it holds.
let unsafeRule = HouseRule(
  name: "unsafe", summary: "`unsafe` only in \(unsafeTargets.sorted().joined(separator: ", ")), under // SAFETY:"
) { file in
  guard file.isSwift, file.isBelow("Sources") else { return [] }
  let isAllowed = file.target.map(unsafeTargets.contains) ?? false
  let explained = explainedProperties(file)
  return file.code.indices.compactMap { index in
    guard SwiftScanner.has("unsafe", in: file.code[index]) else { return nil }
    if !isAllowed { return file.finding(index, "`unsafe` outside of the Platform targets") }
    // An attribute warns the callers instead of vouching for something.
    if file.code[index].range(of: "@unsafe") != nil { return nil }
    if explained.contains(where: { SwiftScanner.has($0, in: file.code[index]) }) { return nil }
    return isExplained(file, index) ? nil : file.finding(index, "`unsafe` without a `// SAFETY:` comment above it")
  }
}

/// `@unchecked Sendable` and `nonisolated(unsafe)` say why they hold.
let uncheckedRule = HouseRule(
  name: "unchecked", summary: "a comment on or just above @unchecked Sendable and nonisolated(unsafe)"
) { file in
  guard file.isSwift else { return [] }
  return file.code.indices.compactMap { index in
    let line = file.code[index]
    guard line.range(of: "@unchecked Sendable") != nil || line.range(of: "nonisolated(unsafe)") != nil else {
      return nil
    }
    if file.lines[index].range(of: "// ") != nil || !commentAbove(file, index).isEmpty { return nil }
    return file.finding(index, "@unchecked Sendable or nonisolated(unsafe) without a comment that proves it")
  }
}

/// Names of the stored properties that have a `// SAFETY:` comment of their own: it holds wherever they are used.
private func explainedProperties(_ file: SourceFile) -> [String] {
  file.code.indices.compactMap { index in
    let words = file.code[index].split { !($0.isLetter || $0.isNumber || $0 == "_") }
    guard let keyword = words.firstIndex(where: { !modifiers.contains($0) }), keyword + 1 < words.count,
      words[keyword] == "let" || words[keyword] == "var", file.code[index].range(of: ":") != nil,
      !file.code[index].hasSuffix("{"),
      commentAbove(file, index).contains(where: { $0.range(of: "// SAFETY:") != nil })
    else { return nil }
    return String(words[keyword + 1])
  }
}

/// Whether a `// SAFETY:` comment stands between the line and the head of its declaration, or above that head, or above
/// a type around it; or whether the declaration is itself `@unsafe`, so that its callers vouch for it.
private func isExplained(_ file: SourceFile, _ use: Int) -> Bool {
  var indentation = file.lines[use].indentation
  var index = use
  while index >= 0 {
    let line = file.lines[index]
    if line.range(of: "// SAFETY:") != nil { return true }
    let isHead = index == use || line.indentation < indentation
    if isHead, isDeclaration(file.code[index]) {
      return isExplainedAbove(file, index)
    }
    if !line.isEmpty, line.indentation < indentation, index != use { indentation = line.indentation }
    index -= 1
  }
  return false
}

/// Whether the declaration that starts at `head`, or one around it, is explained by the comment above it.
private func isExplainedAbove(_ file: SourceFile, _ head: Int) -> Bool {
  if file.code[head].range(of: "@unsafe") != nil { return true }
  var indentation = file.lines[head].indentation + 1
  for index in stride(from: head, through: 0, by: -1) {
    let line = file.lines[index]
    guard !line.isEmpty, line.indentation < indentation, isDeclaration(file.code[index]) else { continue }
    if commentAbove(file, index).contains(where: { $0.range(of: "// SAFETY:") != nil }) { return true }
    indentation = line.indentation
    if indentation == 0 { break }
  }
  return false
}

/// Whether the line starts a function, a computed property, a type or the like (no stored property or local value).
private func isDeclaration(_ code: String) -> Bool {
  let words = code.split { !($0.isLetter || $0 == "_") }
  let heads: Set<Substring> = [
    "func", "init", "deinit", "subscript", "struct", "class", "enum", "extension", "protocol", "actor",
  ]
  if let first = words.first(where: { !modifiers.contains($0) }) {
    if heads.contains(first) { return true }
    if first == "var" || first == "let" {
      let isStoredMember = code.indentation == 2 && code.range(of: "nonisolated") != nil
      return isStoredMember || (first == "var" && code.hasSuffix("{") && code.range(of: " = ") == nil)
    }
  }
  return false
}

private let modifiers: Set<Substring> = [
  "public", "private", "fileprivate", "internal", "package", "static", "final", "override", "mutating", "nonmutating",
  "borrowing", "consuming", "nonisolated", "unsafe", "inlinable", "inline", "always", "never", "usableFromInline",
  "_lifetime", "self", "copy", "borrow", "safe", "discardableResult", "c", "__always", "convenience", "required",
]

/// The comment lines right above a line, attributes skipped.
private func commentAbove(_ file: SourceFile, _ index: Int) -> [Substring] {
  var comments: [Substring] = []
  var above = index - 1
  while above >= 0 {
    let line = file.lines[above].drop { $0 == " " }
    if line.hasPrefix("//") { comments.append(line) } else if !line.hasPrefix("@") { break }
    above -= 1
  }
  return comments
}
