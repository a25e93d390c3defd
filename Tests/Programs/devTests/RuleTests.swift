import Testing

@testable import dev

/// The findings of one rule in a text.
private func findings(_ rule: HouseRule, _ path: String, _ text: String) -> [Int] {
  rule.check(SourceFile(path: path, text: text)).map(\.line)
}

@Suite struct ScannerTests {
  @Test(arguments: [
    ("let a = 1 // unsafe", "let a = 1 "),
    ("let a = \"unsafe\" + b", "let a = \"\" + b"),
    ("let a = \"x\\\"unsafe\" + b", "let a = \"\" + b"),
    ("let a = \"\\(f(\"unsafe\"))\" + b", "let a = \"\" + b"),
    ("let a = #\"un\"safe\"# + b", "let a = #\"\" + b"),
    ("// all", ""),
  ])
  func blanksStringsAndComments(text: String, code: String) {
    #expect(SwiftScanner.code(of: [text]) == [code])
  }

  @Test func blanksMultilineStrings() {
    let lines = ["let a = \"\"\"", "  unsafe \" // x", "  \"\"\"", "unsafe f()"]
    #expect(SwiftScanner.code(of: lines) == ["let a = \"\"", "", "", "unsafe f()"])
  }

  @Test(arguments: [
    ("unsafe f()", true), ("f(unsafe)", true), ("unsafeBitCast(x)", false), ("isunsafe", false), ("my_unsafe", false),
    ("unsafely unsafe", true), ("", false),
  ])
  func findsWholeWords(line: String, isThere: Bool) {
    #expect(SwiftScanner.has("unsafe", in: line) == isThere)
  }

  @Test(arguments: [
    ("import A", "A"), ("public import B", "B"), ("@testable import C", "C"), ("import struct D.E", "D"),
    ("@preconcurrency public import F", "F"), ("let x = important", nil), ("func f(import: Int)", nil),
  ])
  func readsImports(line: String, module: String?) {
    #expect(importedModule(line) == module)
  }
}

@Suite struct UnsafeRuleTests {
  private let platform = "Sources/Platform/LinuxIO/A.swift"

  @Test func isRefusedAboveThePlatform() {
    let text = "// SAFETY: never mind.\nlet a = unsafe f()\n"
    #expect(findings(unsafeRule, "Sources/Storage/Block/A.swift", text) == [2])
    #expect(findings(unsafeRule, platform, text).isEmpty)
  }

  @Test func needsItsCommentInTheSameDeclaration() {
    let text = """
      struct A {
        func explained() {
          // SAFETY: because.
          let x = unsafe f()
          if x {
            unsafe g()
          }
        }

        func bare() {
          unsafe g()
        }

        // SAFETY: because of this.
        func above() {
          unsafe g()
        }

        var value: Int {
          get { unsafe h() }
        }

        // SAFETY: written once.
        nonisolated(unsafe) let base: Int

        nonisolated(unsafe) let other: Int
      }
      """
    #expect(findings(unsafeRule, platform, text) == [11, 20, 26])
  }

  @Test func aTypeOrItsCallersMayVouch() {
    let text = """
      // SAFETY: lives as long as its owner.
      struct Word {
        func load() {
          unsafe word.load()
        }
      }
      struct Other {
        @unsafe init(base: Int) {
          unsafe self.base = unsafe base
        }

        func load() {
          unsafe word.load()
        }
      }
      """
    #expect(findings(unsafeRule, platform, text) == [13])
  }

  @Test func aStoredPropertyVouchesForItsUses() {
    let text = """
      struct Word {
        // SAFETY: lives as long as its owner.
        private let word: UnsafePointer<UInt32>
        let other: UnsafePointer<UInt32>

        func load() -> UInt32 { unsafe word.pointee }

        func loadOther() -> UInt32 { unsafe other.pointee }
      }
      """
    #expect(findings(unsafeRule, platform, text) == [8])
  }

  @Test func wordsInCommentsAndStringsDoNotCount() {
    #expect(findings(unsafeRule, "Sources/A/B/C.swift", "// unsafe\nlet a = \"unsafe\"\nunsafePointer()").isEmpty)
  }

  @Test func uncheckedNeedsAComment() {
    let text = """
      // One thread at a time: see start().
      final class A: @unchecked Sendable {}
      final class B: @unchecked Sendable {}
      final class C: @unchecked Sendable {}  // immutable
      let text = "@unchecked Sendable"
      """
    #expect(findings(uncheckedRule, "Sources/A/B/C.swift", text) == [3])
  }
}

@Suite struct ArchitectureTests {
  @Test(arguments: [
    ("Storvsc", "VMBusChannel"), ("VMBusChannel", "VMBusRing"), ("LinuxIO", "CLinux"), ("SharedMemory", "CLinux"),
    ("Gateway", "SyntheticHost"), ("synthgate", "ArgumentParser"), ("Gateway", "FoundationEssentials"),
    ("DiskFS", "Block"), ("Block", "Synchronization"),
  ])
  func allows(target: String, module: String) {
    #expect(Architecture.objection(to: module, in: target) == nil)
  }

  @Test(arguments: [
    ("Storvsc", "VMBusServer"), ("Storvsc", "Storvsp"), ("Storvsp", "Storvsc"), ("Storvsc", "VMBusUIO"),
    ("DiskFS", "VMBusChannel"), ("DiskFS", "VMBusProtocol"), ("VMBusProtocol", "LinuxIO"),
    ("VMBusRing", "VMBusChannel"),
    ("Storvsc", "CLinux"), ("DiskFS", "CFUSE"), ("Block", "Foundation"), ("Gateway", "Foundation"),
    ("Storvsc", "FoundationEssentials"), ("Gateway", "ArgumentParser"), ("Block", "Glibc"), ("Nowhere", "Block"),
    ("Block", "Dispatch"), ("SyntheticHost", "Gateway"), ("VMBusClient", "VMBusServer"),
  ])
  func refuses(target: String, module: String) {
    #expect(Architecture.objection(to: module, in: target) != nil)
  }

  @Test func namesTheLine() {
    let text = "import Block\npublic import VMBusClient\n"
    #expect(findings(importRule, "Sources/Storage/DiskFS/A.swift", text) == [2])
    #expect(findings(importRule, "Tests/Storage/DiskFSTests/A.swift", text).isEmpty)
  }
}

@Suite struct TextRuleTests {
  @Test func filesStayShort() {
    let fits = String(repeating: "x\n", count: 400)
    #expect(findings(lengthRule, "Sources/A/B/C.swift", fits).isEmpty)
    #expect(findings(lengthRule, "Tests/A/B/C.swift", fits + "x\n") == [401])
    #expect(findings(lengthRule, "docs/a.md", fits + "x\n").isEmpty)
  }

  @Test func nothingIsLeftToDo() {
    #expect(findings(leftoverRule, "docs/a.md", "a\n// TO" + "DO later\nFIX" + "ME") == [2, 3])
    #expect(findings(leftoverRule, "docs/a.md", "TO" + "DOS is a word").isEmpty)
  }

  @Test func codeIsASCII() {
    #expect(findings(asciiRule, "Sources/A/B/C.swift", "a\n\u{2192}") == [2])
    #expect(findings(asciiRule, "docs/a.md", "\u{2192}").isEmpty)
  }

  @Test func noPathsOfSomebodysMachine() {
    #expect(findings(wordRule, "docs/a.md", "see /wo" + "rk/x\n\"/ho" + "me/me\"\nx/wo" + "rk/y") == [1, 2])
    #expect(findings(wordRule, "Package.swift", "https://Artifact" + "ory.example.org") == [1])
  }

  @Test func findingsAreInOrderAndReadable() {
    let findings = [
      Finding(path: "b", line: 1, text: "x"), Finding(path: "a", line: 10, text: "x"),
      Finding(path: "a", line: 9, text: "y"),
    ].sorted()
    #expect(findings.map(\.description) == ["a:9: y", "a:10: x", "b:1: x"])
  }
}
