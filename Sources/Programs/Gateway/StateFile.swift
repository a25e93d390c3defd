import FoundationEssentials
import LinuxIO

/// The state that the JSON file at `path` tells; nil when there is none that can be read.
func readStateFile<State: Decodable>(_ type: State.Type, at path: String) -> State? {
  guard let text = try? readTextFile(path) else { return nil }
  return try? JSONDecoder().decode(type, from: Data(text.utf8))
}

/// Writes a state as JSON, so that a reader sees the old or the new one.
func writeStateFile(_ state: some Encodable, to path: String) throws(GatewayError) {
  do {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(state).write(to: URL(filePath: path), options: .atomic)
  } catch {
    throw GatewayError(.failed, what: "write \(path)", why: "\(error)")
  }
}
