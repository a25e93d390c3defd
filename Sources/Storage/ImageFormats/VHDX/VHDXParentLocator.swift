import WireBytes

/// The metadata item that says where the parent of a differencing image is: pairs of a key and a value, both UTF-16.
public struct VHDXParentLocator: Hashable, Sendable {
  /// The only kind of locator that is defined.
  public static let kind = GUID(0xb04a_efb7, 0xd19e, 0x4a81, 0xb789_25b8_e944_5913)
  /// The most pairs that are read.
  public static let maximumPairCount = 256
  /// Keys with a meaning, best path first.
  public static let linkageKey = "parent_linkage"
  /// A second identity, while a merge is under way.
  public static let secondLinkageKey = "parent_linkage2"
  /// Fields that hold a path, in the order of the specification.
  public static let pathKeys = ["relative_path", "volume_path", "absolute_win32_path"]

  /// The pairs in the order of the item.
  public var pairs: [Pair]

  /// A key with its value.
  public struct Pair: Hashable, Sendable {
    /// The key, case-sensitive.
    public var key: String
    /// The value.
    public var value: String
    /// A pair.
    public init(key: String, value: String) {
      self.key = key
      self.value = value
    }
  }

  /// A locator.
  public init(_ pairs: [Pair]) { self.pairs = pairs }

  /// A locator of a parent with this DataWriteGuid at this path, relative to the child.
  public init(parent: GUID, relativePath: String) {
    pairs = [
      Pair(key: Self.linkageKey, value: "{\(parent)}"),
      Pair(key: "relative_path", value: relativePath.replacingSlashes),
    ]
  }

  /// Reads a locator.
  ///
  /// - Parameter itemOffset: where the item stands in the file, for messages.
  /// - Throws: `vhdx.parent.locator`.
  public init(parsing bytes: RawSpan, at itemOffset: UInt64) throws(ImageFault) {
    func bad(_ why: String, _ place: Int) -> ImageFault {
      ImageFault(
        "vhdx.parent.locator", "VHDX parent information is damaged (\(why))", at: itemOffset + UInt64(place))
    }
    guard bytes.byteCount >= 20 else { throw bad("too short", 0) }
    guard GUID(parsing: bytes) == Self.kind else { throw bad("unknown kind \(GUID(parsing: bytes))", 0) }
    let count = Int(bytes.le16(at: 18))
    guard count <= Self.maximumPairCount, 20 + 12 * count <= bytes.byteCount else { throw bad("\(count) pairs", 18) }
    pairs = []
    for index in 0..<count {
      let place = 20 + 12 * index
      func text(_ offsetField: Int, _ lengthField: Int) throws(ImageFault) -> String {
        let offset = UInt64(bytes.le32(at: place + offsetField))
        let length = UInt64(bytes.le16(at: place + lengthField))
        guard offset > 0, length > 0, length % 2 == 0, offset + length <= UInt64(bytes.byteCount) else {
          throw bad("text of pair \(index) lies outside", place)
        }
        let units = (0..<Int(length / 2)).map { bytes.le16(at: Int(offset) + 2 * $0) }
        guard !units.contains(0), let text = String(validating: units, as: UTF16.self) else {
          throw bad("text of pair \(index) is no text", place)
        }
        return text
      }
      let pair = Pair(key: try text(0, 8), value: try text(4, 10))
      if pairs.contains(where: { $0.key == pair.key }) { throw bad("key \(pair.key) is there twice", place) }
      pairs.append(pair)
    }
    guard !identities.isEmpty else { throw bad("no parent_linkage", 18) }
    guard Self.pathKeys.contains(where: { self[$0] != nil }) else { throw bad("no path", 18) }
  }

  /// The bytes on disk.
  public func encoded() -> [UInt8] {
    var table = [UInt8](zeroed: 20 + 12 * pairs.count) { bytes in
      Self.kind.store(into: &bytes)
      bytes.storeLE(UInt16(pairs.count), at: 18)
    }
    for (index, pair) in pairs.enumerated() {
      let place = 20 + 12 * index
      for (text, offsetField, lengthField) in [(pair.key, 0, 8), (pair.value, 4, 10)] {
        let offset = UInt32(table.count)
        let units = Array(text.utf16)
        table += units.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        table.withMutableBytes { bytes in
          bytes.storeLE(offset, at: place + offsetField)
          bytes.storeLE(UInt16(clamping: 2 * units.count), at: place + lengthField)
        }
      }
    }
    return table
  }

  /// The value of a key.
  public subscript(key: String) -> String? { pairs.first { $0.key == key }?.value }

  /// The DataWriteGuids of which the parent must bear one.
  public var identities: [GUID] {
    [Self.linkageKey, Self.secondLinkageKey].compactMap { self[$0] }.compactMap { GUID($0) }
  }
}

extension String {
  /// The path with the separators of Windows.
  fileprivate var replacingSlashes: String { String(map { $0 == "/" ? "\\" : $0 }) }
}
