import ImageFormats
import Testing
import WireBytes

@Suite struct GUIDTests {
  @Test func textAndBytes() throws {
    let guid = try #require(GUID("{2DC27766-F623-4200-9D64-115E9BFD4A08}"))
    #expect(guid.description == "2dc27766-f623-4200-9d64-115e9bfd4a08")
    let bytes = [UInt8](zeroed: 16) { guid.store(into: &$0) }
    #expect(
      bytes == [0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42, 0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08])
    #expect(GUID(parsing: bytes.rawSpan) == guid)
    #expect(GUID("2dc27766-f623-4200-9d64") == nil && GUID("+dc27766-f623-4200-9d64-115e9bfd4a08") == nil)
    let random = GUID.random()
    #expect(random != GUID.random() && GUID(random.description) == random)
  }
}
