import CYAML

/// Parses the first document of `text`; nil when there is none.
///
/// Aliases are refused (a few bytes of them can stand for an endless tree), and so are duplicate keys, keys that are not
/// plain texts, and nesting deeper than 64.
///
/// - Throws: `YAMLError` with the line.
public func parseYAML(_ text: String) throws(YAMLError) -> YAMLNode? {
  var parser = YAMLEventParser(text)
  return try parser.document()
}

/// Reads libyaml's events one by one.
@safe private struct YAMLEventParser: ~Copyable {
  private enum Event {
    case scalar(String, isQuoted: Bool)
    case sequenceStart
    case mappingStart
    case end
    case alias
    case streamEnd
    case other
  }

  // SAFETY: libyaml keeps pointers to the parser and to the input, so that both live at fixed addresses until deinit.
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let input: UnsafeMutableBufferPointer<UInt8>
  private var line = 1
  private var column = 1

  init(_ text: String) {
    let bytes = Array(text.utf8)
    // SAFETY: see the properties; both are initialized before libyaml sees them.
    unsafe input = .allocate(capacity: bytes.count)
    _ = unsafe input.initialize(from: bytes)
    unsafe parser = .allocate(capacity: 1)
    unsafe yaml_parser_initialize(parser)
    unsafe yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
  }

  deinit {
    // SAFETY: allocated by init; nobody else has the pointers.
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
    unsafe input.deallocate()
  }

  mutating func document() throws(YAMLError) -> YAMLNode? {
    while true {
      switch try next() {
      case .streamEnd: return nil
      case .other: continue
      case let event: return try node(event, depth: 0)
      }
    }
  }

  private mutating func node(_ event: Event, depth: Int) throws(YAMLError) -> YAMLNode {
    let (line, column) = (self.line, self.column)
    guard depth < 64 else { throw YAMLError(line: line, problem: "nested too deeply") }
    switch event {
    case .scalar(let text, let isQuoted):
      return YAMLNode(value: .scalar(text, isQuoted: isQuoted), line: line, column: column)
    case .sequenceStart:
      var elements: [YAMLNode] = []
      while true {
        let event = try next()
        if case .end = event { break }
        elements.append(try node(event, depth: depth + 1))
      }
      return YAMLNode(value: .sequence(elements), line: line, column: column)
    case .mappingStart:
      return YAMLNode(value: .mapping(try entries(depth: depth)), line: line, column: column)
    case .alias: throw YAMLError(line: line, problem: "aliases (*name) are not supported; write the value out")
    case .end, .streamEnd, .other: throw YAMLError(line: line, problem: "a value is missing")
    }
  }

  private mutating func entries(depth: Int) throws(YAMLError) -> [YAMLNode.Entry] {
    var entries: [YAMLNode.Entry] = []
    var seen: Set<String> = []
    while true {
      let event = try next()
      if case .end = event { return entries }
      guard case .scalar(let key, _) = event else { throw YAMLError(line: line, problem: "a key must be a plain text") }
      let keyLine = line
      guard seen.insert(key).inserted else { throw YAMLError(line: keyLine, problem: "`\(key)` stands here twice") }
      entries.append(YAMLNode.Entry(key: key, line: keyLine, value: try node(next(), depth: depth + 1)))
    }
  }

  private mutating func next() throws(YAMLError) -> Event {
    // SAFETY: libyaml fills the event, whose contents are copied before it is deleted.
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) == 1 else {
      let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "not YAML"
      throw unsafe YAMLError(line: Int(parser.pointee.problem_mark.line) + 1, problem: problem)
    }
    defer { unsafe yaml_event_delete(&event) }
    line = unsafe Int(event.start_mark.line) + 1
    column = unsafe Int(event.start_mark.column) + 1
    switch unsafe event.type {
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      return unsafe .scalar(
        String(decoding: bytes, as: UTF8.self), isQuoted: scalar.style != YAML_PLAIN_SCALAR_STYLE)
    case YAML_SEQUENCE_START_EVENT: return .sequenceStart
    case YAML_MAPPING_START_EVENT: return .mappingStart
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return .end
    case YAML_ALIAS_EVENT: return .alias
    case YAML_STREAM_END_EVENT: return .streamEnd
    default: return .other
    }
  }
}
