/// Bytes of an image of 64 MiB that qemu-img 7.2 has made with `create -f vhdx`.
enum VHDXGolden {
  /// The current header without its zeros at the end.
  static let header = """
    68 65 61 64 7b 10 8a 6c 01 9f 43 48 00 00 00 00 fe 6b 8b 10 d2 d3 40 6e 8f 51 3a 20 6d 29 48 72
    30 f5 e5 1e 50 3e 45 f2 96 da d2 e8 be 76 19 93 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    00 00 01 00 00 00 10 00 00 00 10 00 00 00 00 00
    """

  /// The first region table without its zeros at the end.
  static let regions = """
    72 65 67 69 83 ce 6f 2c 02 00 00 00 00 00 00 00 66 77 c2 2d 23 f6 00 42 9d 64 11 5e 9b fd 4a 08
    00 00 20 00 00 00 00 00 00 00 10 00 00 00 00 00 06 a2 7c 8b 90 47 9a 4b b8 fe 57 5f 05 0f 88 6e
    00 00 30 00 00 00 00 00 00 00 10 00 00 00 00 00
    """
}
