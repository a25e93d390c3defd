/// What is wrong with an image, or with the chain that it belongs to.
public struct ImageFault: Error, Hashable, Sendable, CustomStringConvertible {
  /// A stable name of the finding, for example `vhdx.bat.entry`.
  public var code: String
  /// What is wrong, in words, with the name of the field.
  public var text: String
  /// Where in the file it stands, in bytes; nil where no single place is wrong.
  public var offset: UInt64?

  /// A finding.
  public init(_ code: String, _ text: String, at offset: UInt64? = nil) {
    self.code = code
    self.text = text
    self.offset = offset
  }

  /// The words, the place and the name.
  public var description: String {
    let place = offset.map { " (at byte \($0))" } ?? ""
    return "\(text)\(place) [\(code)]"
  }
}
