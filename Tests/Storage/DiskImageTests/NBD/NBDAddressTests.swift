@testable import DiskImage
import NBDConnection
import TestVectors
import Testing

@Suite struct NBDAddressTests {
  @Test func forms() throws {
    func endpoint(_ uri: String) throws -> NBDEndpoint { try NBDAddress(uri).endpoint }
    #expect(try endpoint("nbd://host") == NBDEndpoint(.tcp(host: "host", port: 10809)))
    #expect(try endpoint("nbd://host/") == NBDEndpoint(.tcp(host: "host", port: 10809)))
    #expect(try endpoint("nbd://host:1/a%20b") == NBDEndpoint(.tcp(host: "host", port: 1), exportName: "a b"))
    #expect(try endpoint("nbd://h//x") == NBDEndpoint(.tcp(host: "h", port: 10809), exportName: "/x"))
    #expect(try endpoint("nbd://[::1]:65535/x") == NBDEndpoint(.tcp(host: "::1", port: 65535), exportName: "x"))
    #expect(try endpoint("nbd+unix:///?socket=/run/a.sock") == NBDEndpoint(.unix(path: "/run/a.sock")))
    #expect(try endpoint("nbd+unix://?socket=/a") == NBDEndpoint(.unix(path: "/a")))
    #expect(
      try endpoint("nbd+unix:///d%c3%a9/1?socket=/run/a%3fb")
        == NBDEndpoint(.unix(path: "/run/a?b"), exportName: "d\u{e9}/1"))
    var secure = NBDEndpoint(.tcp(host: "host", port: 10809), exportName: "e")
    secure.security = .certificates(directory: nil)
    #expect(try endpoint("nbds://host/e") == secure)
    secure.security = .certificates(directory: "/etc/pki")
    #expect(try endpoint("nbds://host/e?tls-certificates=/etc/pki") == secure)
    secure.security = .sharedKey(file: "/k")
    secure.user = "me@here"
    secure.transport = .unix(path: "/s")
    #expect(try endpoint("nbds+unix://me%40here@/e?tls-psk-file=/k&socket=/s") == secure)
  }

  static let faults: [(String, String)] = [
    ("nbd+vsock://2/x", "`nbd+vsock` is no scheme"), ("nbd:unix:/s", "// is missing"), ("nbd:", "// is missing"),
    ("nbd://", "the host is missing"), ("nbd:///x", "the host is missing"), ("nbd://:10809/x", "the host is missing"),
    ("nbd://host:0/", "`0` is no port"), ("nbd://host:65536/", "`65536` is no port"), ("nbd://host:/", "`` is no port"),
    ("nbd://host:1x/", "`1x` is no port"), ("nbd://::1/", "stands in brackets"), ("nbd://[::1/", "is not closed"),
    ("nbd://[host]/", "`host` is no IPv6 address"), ("nbd://[::1]x/", "`x` behind the address"),
    ("nbd://ho st/", "a blank"), ("nbd://h%/", "is no host"), ("nbd://h/%2", "hexadecimal digits"),
    ("nbd://h/%zz", "hexadecimal digits"), ("nbd://h/%00", "zero byte"), ("nbd://h/%ff", "not UTF-8"),
    ("nbd://h/x#y", "%23"), ("nbd://me@h/", "only with nbds"), ("nbds://@h/", "no user"),
    ("nbd://h/x?socket=/s", "`socket` is no key here; there are none"),
    ("nbd+unix:///x", "the socket is missing"), ("nbd+unix:///x?", "the socket is missing"),
    ("nbd+unix://host/x?socket=/s", "`host` where nothing may stand"),
    ("nbd+unix:///x?socket=s", "`socket` must be an absolute path"),
    ("nbd+unix:///x?socket=", "`socket` must be an absolute path"),
    ("nbd+unix:///x?socket=/s&socket=/t", "two `socket`"),
    ("nbd+unix:///x?socket=/s&foo=1", "`foo` is no key here; allowed: socket"),
    ("nbd+unix:///x?socket=/s&tls-certificates=/c", "`tls-certificates` is no key here"),
    ("nbds+unix:///x?socket=/s&tls-certificates=/c&tls-psk-file=/k", "both"),
    ("nbd+unix:///x?socket=/" + String(repeating: "s", count: 107), "longer than 107"),
    ("nbd://h/" + String(repeating: "x", count: 4097), "longer than 4096"),
  ]

  @Test(arguments: faults) func oneMessageForEachMistake(uri: String, words: String) {
    #expect(NBDAddress.isMeant(by: uri))
    do throws(NBDAddress.Fault) {
      _ = try NBDAddress(uri)
      Issue.record("\(uri) was taken")
    } catch {
      #expect(error.text.contains(words), "\(error.text)")
      #expect(!error.text.contains("\n"))
    }
  }

  @Test func whatIsMeant() {
    for path in ["/nbd:", "./nbd://x", "nbd", "disk.img", "http://x", "xnbd://x", ""] {
      #expect(!NBDAddress.isMeant(by: path), "\(path)")
    }
    for uri in ["nbd:x", "nbds:", "nbd+x:", "nbds+unix:"] { #expect(NBDAddress.isMeant(by: uri), "\(uri)") }
  }

  /// The same export is the same disk, however its URI is written.
  @Test func canonicalText() throws {
    let texts = try ["nbds+unix://me@/%65?socket=/s&tls-psk-file=/k", "nbd+unix:///e?socket=%2fs"].map {
      try NBDAddress($0).canonicalText
    }
    #expect(texts == ["nbd+unix:///e?socket=/s", "nbd+unix:///e?socket=/s"])
    #expect(try NBDAddress("nbd://HOST/x").canonicalText == NBDAddress("nbd://host:10809/x").canonicalText)
  }

  /// Changed and random texts are taken or refused, nothing else; what is taken is within the limits.
  @Test func fuzz() {
    var random = SeededGenerator(seed: 11)
    let seeds =
      Self.faults.map(\.0) + ["nbds+unix://u@/e?socket=/s&tls-psk-file=/k", "nbds://[::1]:9/e?tls-certificates=/c"]
    var takenCount = 0
    for _ in 0..<20_000 {
      let bytes = random.mutation(of: Array(seeds.randomElement(using: &random)!.utf8))
      let text = String(decoding: bytes, as: UTF8.self)
      guard let address = try? NBDAddress(text) else { continue }
      takenCount += 1
      #expect(address.endpoint.exportName.utf8.count <= 4096 && !address.endpoint.exportName.utf8.contains(0))
      switch address.endpoint.transport {
      case .unix(let path): #expect(path.hasPrefix("/") && path.utf8.count <= 107 && !path.utf8.contains(0))
      case .tcp(let host, let port): #expect(!host.isEmpty && port > 0)
      }
    }
    #expect(takenCount > 100)
  }
}
