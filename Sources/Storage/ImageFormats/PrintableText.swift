/// `text`, which came out of an image, with everything replaced by `?` that could harm a terminal or mislead who reads it:
/// control characters, and characters that change the direction of writing.
public func printableText(_ text: String) -> String {
  let scalars = text.unicodeScalars.map { scalar in
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: "?" as Unicode.Scalar
    default: scalar
    }
  }
  var shown = String.UnicodeScalarView()
  shown.append(contentsOf: scalars)
  return String(shown)
}
