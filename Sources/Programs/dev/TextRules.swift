/// Longest file of Sources and Tests, in lines.
private let longestFile = 400

/// Files stay small.
let lengthRule = HouseRule(name: "length", summary: "at most \(longestFile) lines in a file of Sources and Tests") {
  file in
  guard file.isBelow("Sources", "Tests") else { return [] }
  // A newline at the end makes an empty last line here.
  let count = file.lines.last == "" ? file.lines.count - 1 : file.lines.count
  guard count > longestFile else { return [] }
  return [file.finding(longestFile, "\(count) lines; split it (Type+Aspect.swift)")]
}

/// Nothing is left to be done. (Spelled apart, so that this file passes.)
let leftoverRule = HouseRule(name: "leftovers", summary: "no reminders of work that is left: do it, or open an issue") {
  file in
  let reminders = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
  return file.lines.indices.compactMap { index in
    guard let found = reminders.first(where: { SwiftScanner.has($0, in: file.lines[index]) }) else { return nil }
    return file.finding(index, "\(found): do it, or open an issue")
  }
}

/// Code is ASCII; documentation may draw.
let asciiRule = HouseRule(name: "ascii", summary: "only ASCII in code") { file in
  guard file.isCode else { return [] }
  return file.lines.indices.compactMap { index in
    guard let bad = file.lines[index].unicodeScalars.first(where: { !$0.isASCII }) else { return nil }
    return file.finding(index, "U+\(String(bad.value, radix: 16, uppercase: true)) is not ASCII")
  }
}

/// Nothing names the machine that it was written on, nor a mirror that only some can reach.
let wordRule = HouseRule(name: "words", summary: "no paths of a developer's machine, no hosts of package mirrors") {
  file in
  let places = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/opt" + "/swift", "/Use" + "rs/"]
  let hosts = ["artifact" + "ory", "jfr" + "og", "pypi" + ".org", "npm" + "js", "crates" + ".io", "proxy.go" + "lang"]
  return file.lines.indices.compactMap { index in
    let line = file.lines[index]
    if let host = hosts.first(where: { line.lowercased().range(of: $0) != nil }) {
      return file.finding(index, "`\(host)` names a package mirror")
    }
    guard let place = places.first(where: { startsPath($0, in: line) }) else { return nil }
    return file.finding(index, "`\(place)` is a path of somebody's machine")
  }
}

/// Whether an absolute path in the line starts with `place`.
private func startsPath(_ place: String, in line: String) -> Bool {
  var start = line.startIndex
  while let found = line[start...].range(of: place) {
    if found.lowerBound == line.startIndex { return true }
    let before = line[line.index(before: found.lowerBound)]
    if !(before.isLetter || before.isNumber || "}_-./".contains(before)) { return true }
    start = found.upperBound
  }
  return false
}
