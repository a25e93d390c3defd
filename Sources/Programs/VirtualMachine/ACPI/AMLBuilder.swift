/// Encodes the machine language of ACPI, as much of it as a description of fixed devices needs.
///
/// Source: Advanced Configuration and Power Interface Specification 6.3, chapter 20.
enum AML {
  /// `Name (NAME, VALUE)`.
  static func name(_ name: String, _ value: [UInt8]) -> [UInt8] { [0x08] + segment(name) + value }

  /// A small number.
  static func byte(_ value: UInt8) -> [UInt8] {
    switch value {
    case 0: [0x00]
    case 1: [0x01]
    default: [0x0A, value]
    }
  }

  /// A text.
  static func text(_ value: String) -> [UInt8] { [0x0D] + Array(value.utf8) + [0] }

  /// A compressed device id such as PNP0501.
  static func eisaID(_ id: String) -> [UInt8] {
    let characters = Array(id.utf8)
    precondition(characters.count == 7)
    let letters = characters[0..<3].reduce(UInt16(0)) { $0 << 5 | UInt16($1 - 0x40) }
    let number = UInt16(id.dropFirst(3), radix: 16)!
    return [
      0x0C, UInt8(letters >> 8), UInt8(letters & 0xFF), UInt8(number >> 8), UInt8(number & 0xFF),
    ]
  }

  /// `Package () { ... }`.
  static func package(_ elements: [[UInt8]]) -> [UInt8] {
    [0x12] + sized([UInt8(elements.count)] + elements.flatMap { $0 })
  }

  /// `Scope (NAME) { ... }`.
  static func scope(_ name: String, _ content: [[UInt8]]) -> [UInt8] {
    [0x10] + sized(segment(name) + content.flatMap { $0 })
  }

  /// `Device (NAME) { ... }`.
  static func device(_ name: String, _ content: [[UInt8]]) -> [UInt8] {
    [0x5B, 0x82] + sized(segment(name) + content.flatMap { $0 })
  }

  /// `Method (NAME) { Return (VALUE) }`.
  static func method(_ name: String, returning value: [UInt8]) -> [UInt8] {
    [0x14] + sized(segment(name) + [0x00, 0xA4] + value)
  }

  /// `ResourceTemplate () { ... }`.
  static func resources(_ descriptors: [[UInt8]]) -> [UInt8] {
    let content: [UInt8] = descriptors.flatMap { $0 } + [0x79, 0x00]
    return [0x11] + sized([0x0A, UInt8(content.count)] + content)
  }

  /// `IRQ (Edge, ActiveHigh, Exclusive) {LINE}`.
  static func irq(_ line: Int) -> [UInt8] {
    let mask = UInt16(1) << UInt16(line)
    return [0x23, UInt8(mask & 0xFF), UInt8(mask >> 8), 0x01]
  }

  /// `IO (Decode16, BASE, BASE, 1, COUNT)`.
  static func ports(_ base: UInt16, count: UInt8) -> [UInt8] {
    let bytes = [UInt8(base & 0xFF), UInt8(base >> 8)]
    return [0x47, 0x01] + bytes + bytes + [0x01, count]
  }

  /// `DWordMemory` of a window that the device hands on: fixed, cacheable, writable.
  static func memoryWindow(_ range: ClosedRange<UInt64>) -> [UInt8] {
    let words: [UInt64] = [0, range.lowerBound, range.upperBound, 0, range.upperBound - range.lowerBound + 1]
    return [0x87, 0x17, 0x00, 0x00, 0x0C, 0x03] + words.flatMap { littleEndian(UInt32($0)) }
  }

  static func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<(T.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
  }

  private static func segment(_ name: String) -> [UInt8] {
    precondition(name.utf8.count <= 4)
    return Array(name.utf8) + [UInt8](repeating: 0x5F, count: 4 - name.utf8.count)
  }

  /// Puts the length, which counts itself, in front.
  private static func sized(_ content: [UInt8]) -> [UInt8] {
    if content.count + 1 < 64 { return [UInt8(content.count + 1)] + content }
    let length = content.count + 2
    precondition(length < 4096)
    return [0x40 | UInt8(length & 0xF), UInt8(length >> 4)] + content
  }
}
