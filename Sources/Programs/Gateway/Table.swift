/// A table for people: columns as wide as their widest cell, two spaces between them.
public struct Table {
  private let header: [String]
  private var rows: [[String]] = []

  /// A table with these column titles.
  public init(_ header: [String]) {
    self.header = header
  }

  /// Appends a row with a cell per column.
  public mutating func append(_ row: [String]) {
    precondition(row.count == header.count)
    rows.append(row.map { $0.isEmpty ? "-" : $0 })
  }

  /// Whether it has no rows.
  public var isEmpty: Bool { rows.isEmpty }

  /// The lines, the titles first.
  public func lines() -> [String] {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        line += column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count + 2)
      }
      return line
    }
  }
}

/// A byte count for people: `10 GiB`, `1.5 MiB`, `512 B`.
public func formatByteCount(_ count: UInt64) -> String {
  let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
  var unit = 0
  var scale: UInt64 = 1
  while unit < units.count - 1, count / scale >= 1024 {
    unit += 1
    scale <<= 10
  }
  let tenths = (count / scale) * 10 + (count % scale) * 10 / scale
  return tenths % 10 == 0 ? "\(tenths / 10) \(units[unit])" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
}
