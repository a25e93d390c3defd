import ImageTools
import Testing

@Suite struct ByteSizeTests {
  @Test(
    arguments: [
      ("1", 1), ("512", 512), ("10k", 10 << 10), ("3M", 3 << 20), ("3MiB", 3 << 20), ("2Gb", 2 << 30),
      ("64T", 64 << 40),
      ("1.5G", 3 << 29), ("0.25t", 1 << 38), ("0", 0),
    ] as [(String, UInt64)])
  func sizes(text: String, byteCount: UInt64) {
    #expect(ByteSize(text)?.byteCount == byteCount)
  }

  @Test(arguments: [
    "", "G", "-1", "+1", "1.5", "1..5G", ".5G", "5.G", "10X", "1G1", "0x10", " 1", "9999999T", "1.0000001G",
  ])
  func noSizes(text: String) {
    #expect(ByteSize(text) == nil)
  }
}
