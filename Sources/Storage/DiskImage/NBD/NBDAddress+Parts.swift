extension NBDAddress {
  /// The parts of a URI as they stand there.
  struct Parts {
    let scheme: String
    let authority: Substring
    /// With its slash, or empty.
    let path: Substring
    /// Nil without a question mark.
    let query: Substring?

    init(_ uri: String) throws(Fault) {
      guard uri.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7f }) else {
        throw Fault(text: "there is a blank or a control character in it; write %20 for a blank")
      }
      guard let colon = uri.firstIndex(of: ":") else { throw Fault(text: "it has no scheme") }
      scheme = NBDAddress.printable(uri[..<colon].lowercased())
      var rest = uri[uri.index(after: colon)...]
      guard rest.hasPrefix("//") else { throw Fault(text: "// is missing behind \(scheme):") }
      rest = rest.dropFirst(2)
      guard !rest.contains("#") else { throw Fault(text: "there is a # in it; write %23") }
      if let mark = rest.firstIndex(of: "?") {
        query = rest[rest.index(after: mark)...]
        rest = rest[..<mark]
      } else {
        query = nil
      }
      let slash = rest.firstIndex(of: "/") ?? rest.endIndex
      authority = rest[..<slash]
      path = rest[slash...]
    }
  }

  /// The keys behind the question mark, taken out one by one.
  struct Query {
    private var values: [(key: String, value: String)] = []

    init(_ text: Substring?) throws(Fault) {
      guard let text else { return }
      for field in text.split(separator: "&", omittingEmptySubsequences: true) {
        let sign = field.firstIndex(of: "=") ?? field.endIndex
        let key = try NBDAddress.decoded(field[..<sign], "a key")
        let value = try NBDAddress.decoded(field[sign...].dropFirst(), "`\(NBDAddress.printable(key))`")
        if values.contains(where: { $0.key == key }) {
          throw Fault(text: "there are two `\(NBDAddress.printable(key))`")
        }
        values.append((key, value))
      }
    }

    /// The absolute path of `key`, if it is given.
    mutating func takePath(_ key: String) throws(Fault) -> String? {
      guard let index = values.firstIndex(where: { $0.key == key }) else { return nil }
      let path = values.remove(at: index).value
      guard path.hasPrefix("/") else { throw Fault(text: "`\(key)` must be an absolute path") }
      return path
    }

    /// Refuses keys that nobody has asked for.
    func finish(known: [String]) throws(Fault) {
      guard let left = values.first else { return }
      let key = NBDAddress.printable(left.key)
      throw Fault(
        text: known.isEmpty
          ? "`\(key)` is no key here; there are none with this scheme"
          : "`\(key)` is no key here; allowed: \(known.joined(separator: ", "))")
    }
  }
}
