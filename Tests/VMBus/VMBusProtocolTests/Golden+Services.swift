import TestVectors

extension Golden {
  /// IC negotiate request for shutdown (frameworks 1.0 3.0; messages 1.0 3.0 3.1 3.2), ring payload; 60 bytes.
  static let v43 = hex(
    """
    01 00 00 00 34 00 00 00 00 00 00 00 00 00 00 00 00 00 20 00 00 00 00 00 00 03 00 00 02 00 04 00
    00 00 00 00 01 00 00 00 03 00 00 00 01 00 00 00 03 00 00 00 03 00 01 00 03 00 02 00
    """)

  /// reply to V43, chosen 3.0 / 3.2, packet length unchanged, bytes after the two versions left over from the
  /// request; 60 bytes.
  static let v44 = hex(
    """
    01 00 00 00 34 00 00 00 00 00 00 00 00 00 00 00 00 00 10 00 00 00 00 00 00 05 00 00 01 00 01 00
    00 00 00 00 03 00 00 00 03 00 02 00 01 00 00 00 03 00 00 00 03 00 01 00 03 00 02 00
    """)

  /// heartbeat request, sequence 41, ring payload; 44 bytes.
  static let v45 = hex(
    """
    01 00 00 00 24 00 00 00 03 00 00 00 01 00 03 00 00 00 10 00 00 00 00 00 00 03 00 00 29 00 00 00
    00 00 00 00 00 00 00 00 00 00 00 00
    """)

  /// heartbeat reply, sequence 42, application state healthy; 44 bytes.
  static let v46 = hex(
    """
    01 00 00 00 24 00 00 00 03 00 00 00 01 00 03 00 00 00 10 00 00 00 00 00 00 05 00 00 2a 00 00 00
    00 00 00 00 01 00 00 00 00 00 00 00
    """)

  /// timesync v4 sample, parent time 133444736000000000 (2023-11-14T22:13:20Z), reference 0x123456789, stratum 3; 52
  /// bytes.
  static let v47 = hex(
    """
    01 00 00 00 2c 00 00 00 03 00 00 00 04 00 04 00 00 00 18 00 00 00 00 00 00 03 00 00 00 00 6d c6
    47 17 da 01 89 67 45 23 01 00 00 00 02 00 03 00 00 00 00 00
    """)
}
