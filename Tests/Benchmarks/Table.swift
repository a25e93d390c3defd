import FoundationEssentials

/// Rows of equal columns, the first to the left, the others to the right.
func aligned(_ rows: [[String]]) -> [String] {
  let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  return rows.map { row in
    let cells = row.enumerated().map { column, text in
      let space = String(repeating: " ", count: widths[column] - text.count)
      return column == 0 ? text + space : space + text
    }
    return "    " + cells.joined(separator: "  ")
  }
}

/// Lowest and highest of some values.
func range(_ values: [Double]) -> String { "\(short(values.min() ?? 0))-\(short(values.max() ?? 0))" }

/// Prints a report for programs.
func printJSON(_ report: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  print(String(decoding: try encoder.encode(report), as: UTF8.self))
}
