import Foundation

/// Trees of files to fill disks with, and digests to compare them by.
enum Tree {
  /// What belongs to the digest of a tree.
  enum Detail: String {
    /// Names, types, link targets and contents.
    case contents
    /// The same, with all names in lower case: fusefat ignores the bits that say so of a short name.
    case caselessContents
    /// These, and modes, owners, times of files, numbers of links.
    case everything
  }

  /// A tree as Linux systems have them: generated files with all sizes and kinds, the configuration and the documentation
  /// of this machine.
  static func makeFull(at path: String) throws {
    try makePlain(at: path + "/generated", seed: 1, count: 1500)
    try shell(
      #"""
      mkdir -p "$1/usr/share"; cp -a /etc "$1"; cp -a /usr/share/doc "$1/usr/share"
      cd "$1/generated"
      ln -s no/such/target dangling
      ln -s "$(printf 'x%.0s' {1..300})" long-link
      ln f0 hard-link
      mkdir -p deep/er/and/deep/er
      echo deep > deep/er/and/deep/er/file
      truncate -s 3M sparse && echo end >> sparse
      echo odd > $'odd \t name \\ "quoted" \xc3\xa9'
      echo long > "$(printf 'n%.0s' {1..250})"
      chmod 4711 f1; chmod 0 f2; chown 12345:54321 f3; touch -d '1999-12-31 23:59:58' f4
      """#, path)
  }

  /// Regular files and directories with names that every filesystem can hold; always the same for the same seed.
  static func makePlain(at path: String, seed: UInt64, count: Int) throws {
    var generator = Generator(state: seed)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    var folder = path
    for index in 0..<count {
      if index % 50 == 49 {
        folder = generator.below(3) == 0 ? path : folder
        folder += "/d\(index)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      }
      // Mostly small files, as in life; some with sizes around powers of two.
      let size: Int
      switch generator.below(10) {
      case 0: size = 0
      case 1...6: size = generator.below(4096)
      case 7, 8: size = (1 << (9 + generator.below(7))) - 1 + generator.below(3)
      default: size = generator.below(100_000)
      }
      let name = index < 10 ? "\(path)/f\(index)" : "\(folder)/f\(index)"
      try generator.data(size).write(to: URL(filePath: name))
    }
  }

  /// A digest of the tree at `path`, without lost+found.
  static func digest(_ path: String, _ detail: Detail) throws -> String {
    let lower = detail == .caselessContents ? "tr A-Z a-z" : "cat"
    let format = detail == .everything ? #"%P %y %m %U:%G %l\n"# : #"%P %y %l\n"#
    return try shell(
      #"""
      cd "$1"
      {
        find . -mindepth 1 -path ./lost+found -prune -o -printf "$2"
        if [[ $3 == everything ]]; then
          find . -path ./lost+found -prune -o -type f -printf '%P %Ts %n %s\n'
        fi
        find . -path ./lost+found -prune -o -type f -print0 | xargs -0 --no-run-if-empty sha256sum
      } | $4 | sort | sha256sum
      """#, path, format, detail.rawValue, lower, timeLimit: 300)
  }

  static func fileCount(_ path: String) throws -> Int {
    Int(try shell(#"find "$1" -type f | wc -l"#, path).trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
  }
}

/// SplitMix64.
struct Generator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

  mutating func data(_ count: Int) -> Data {
    let words = (0..<(count + 7) / 8).map { _ in next() }
    return words.withUnsafeBytes { Data($0.prefix(count)) }
  }
}
