import ImageFormats
import NBDConnection

/// The URI of an NBD source: which server, which export, how encrypted.
///
/// ```
/// nbd://HOST[:PORT]/EXPORT           nbd+unix:///EXPORT?socket=PATH
/// nbds://[USER@]HOST[:PORT]/EXPORT   nbds+unix://[USER@]/EXPORT?socket=PATH
/// ```
///
/// With TLS `tls-certificates=DIRECTORY` or `tls-psk-file=FILE` may stand behind the `?`, several keys between `&`. Names and
/// paths are percent-encoded; `nbd://host//x` names the export `/x`. (The forms are those of the NBD project's doc/uri.md.)
struct NBDAddress: Equatable {
  var endpoint: NBDEndpoint

  /// Why a text is no such URI, in words.
  struct Fault: Error, Equatable {
    let text: String
  }

  /// The schemes; true: with TLS, over a Unix socket.
  private static let schemes: [String: (isEncrypted: Bool, isUnix: Bool)] = [
    "nbd": (false, false), "nbds": (true, false), "nbd+unix": (false, true), "nbds+unix": (true, true),
  ]

  /// The longest name of an export, in bytes (NBD_MAX_STRING of doc/proto.md).
  private static let longestName = 4096
  /// The longest path of a socket, in bytes (unix(7)).
  private static let longestSocketPath = 107
  private static let usualPort: UInt16 = 10809

  /// Whether `source` is meant as a URI of this kind and not as a path. A file of such a name is `./nbd:...`.
  static func isMeant(by source: String) -> Bool {
    guard let colon = source.utf8.firstIndex(of: UInt8(ascii: ":")) else { return false }
    let scheme = source[..<colon]
    return scheme == "nbd" || scheme == "nbds" || scheme.hasPrefix("nbd+") || scheme.hasPrefix("nbds+")
  }

  /// Reads a URI.
  ///
  /// - Throws: the first mistake.
  init(_ uri: String) throws(Fault) {
    let parts = try Parts(uri)
    guard let scheme = Self.schemes[parts.scheme] else {
      throw Fault(text: "`\(parts.scheme)` is no scheme; there are nbd, nbds, nbd+unix and nbds+unix")
    }
    let name = try Self.decoded(parts.path.dropFirst(), "the export")
    guard name.utf8.count <= Self.longestName else {
      throw Fault(text: "the name of the export is longer than \(Self.longestName) bytes")
    }
    var query = try Query(parts.query)
    let (user, place) = try Self.split(parts.authority)
    if user != nil, !scheme.isEncrypted { throw Fault(text: "a user is of use only with nbds and nbds+unix") }
    let transport: NBDEndpoint.Transport
    if scheme.isUnix {
      guard place.isEmpty else {
        throw Fault(
          text: "there is `\(place)` where nothing may stand; write \(parts.scheme):///EXPORT?socket=PATH, "
            + "with three slashes")
      }
      guard let path = try query.takePath("socket") else {
        throw Fault(text: "the socket is missing; write \(parts.scheme):///EXPORT?socket=PATH")
      }
      guard path.utf8.count <= Self.longestSocketPath else {
        throw Fault(text: "the path of the socket is longer than \(Self.longestSocketPath) bytes")
      }
      transport = .unix(path: path)
    } else {
      let (host, port) = try Self.host(place)
      transport = .tcp(host: host, port: port)
    }
    endpoint = NBDEndpoint(transport, exportName: name)
    endpoint.user = user
    if scheme.isEncrypted {
      let directory = try query.takePath("tls-certificates")
      let file = try query.takePath("tls-psk-file")
      if directory != nil, file != nil { throw Fault(text: "there are both tls-certificates and tls-psk-file") }
      endpoint.security = file.map { .sharedKey(file: $0) } ?? .certificates(directory: directory)
    }
    let known =
      (scheme.isUnix ? ["socket"] : []) + (scheme.isEncrypted ? ["tls-certificates", "tls-psk-file"] : [])
    try query.finish(known: known)
  }

  /// The server and the export as a text that is the same for all URIs which mean it.
  var canonicalText: String {
    switch endpoint.transport {
    case .unix(let path): "nbd+unix:///\(endpoint.exportName)?socket=\(path)"
    case .tcp(let host, let port): "nbd://\(host.lowercased()):\(port)/\(endpoint.exportName)"
    }
  }

  // MARK: The server

  private static func split(_ authority: Substring) throws(Fault) -> (user: String?, place: Substring) {
    guard let at = authority.lastIndex(of: "@") else { return (nil, authority) }
    let user = try decoded(authority[..<at], "the user")
    guard !user.isEmpty else { throw Fault(text: "there is no user before the @") }
    return (user, authority[authority.index(after: at)...])
  }

  private static func host(_ place: Substring) throws(Fault) -> (String, UInt16) {
    if place.hasPrefix("[") {
      guard let end = place.firstIndex(of: "]") else { throw Fault(text: "the bracket of the address is not closed") }
      let address = try decoded(place[place.index(after: place.startIndex)..<end], "the address")
      guard address.contains(":"), address.allSatisfy({ $0.isASCII && ($0.isHexDigit || ":.".contains($0)) }) else {
        throw Fault(text: "`\(printable(address))` is no IPv6 address")
      }
      let rest = place[place.index(after: end)...]
      guard rest.isEmpty || rest.hasPrefix(":") else {
        throw Fault(text: "there is `\(printable(rest))` behind the address")
      }
      return (address, try port(rest))
    }
    let colon = place.firstIndex(of: ":") ?? place.endIndex
    let name = place[..<colon]
    if place[colon...].dropFirst().contains(":") {
      throw Fault(text: "`\(printable(place))` is no host; an IPv6 address stands in brackets")
    }
    guard !name.isEmpty else { throw Fault(text: "the host is missing") }
    guard name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }), name.count <= 253
    else {
      throw Fault(text: "`\(printable(name))` is no host")
    }
    return (String(name), try port(place[colon...]))
  }

  /// - Parameter text: empty, or a colon and a number.
  private static func port(_ text: Substring) throws(Fault) -> UInt16 {
    if text.isEmpty { return usualPort }
    let digits = text.dropFirst()
    guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(digits), port > 0 else {
      throw Fault(text: "`\(printable(digits))` is no port")
    }
    return port
  }

  // MARK: Texts

  /// `text` without its percent-encoding.
  static func decoded(_ text: Substring, _ what: String) throws(Fault) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
        throw Fault(text: "two hexadecimal digits are missing behind a % in \(what)")
      }
      bytes.append(high << 4 | low)
    }
    guard !bytes.contains(0) else { throw Fault(text: "there is a zero byte in \(what)") }
    guard let decoded = String(validating: bytes, as: UTF8.self) else { throw Fault(text: "\(what) is not UTF-8") }
    return decoded
  }

  private static func digit(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// `text` as it can stand in a message: in one line, and not too long.
  static func printable(_ text: some StringProtocol) -> String {
    printableText(String(String.UnicodeScalarView(text.unicodeScalars.prefix(100))))
  }
}
