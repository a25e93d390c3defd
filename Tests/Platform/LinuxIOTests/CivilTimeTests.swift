import LinuxIO
import Testing

@Suite struct CivilTimeTests {
  @Test(
    arguments: [
      (0, "1970-1-1 5 0:0:0"), (951_782_400, "2000-2-29 3 0:0:0"), (951_868_799, "2000-2-29 3 23:59:59"),
      (951_868_800, "2000-3-1 4 0:0:0"), (4_107_542_400, "2100-3-1 2 0:0:0"), (1_795_824_000, "2026-11-28 7 0:0:0"),
    ])
  func calendar(seconds: Int, expected: String) {
    let time = CivilTime(secondsSinceEpoch: seconds)
    let text =
      "\(time.year)-\(time.month)-\(time.day) \(time.weekday) \(time.hour):\(time.minute):\(time.second)"
    #expect(text == expected)
  }
}
