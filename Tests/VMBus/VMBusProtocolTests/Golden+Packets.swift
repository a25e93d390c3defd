import TestVectors

extension Golden {
  /// HvPostMessage input page, connection 4, payload = V02; 256 bytes.
  static let v33 = hex(
    """
    04 00 00 00 00 00 00 00 01 00 00 00 28 00 00 00 0e 00 00 00 00 00 00 00 03 00 05 00 00 00 00 00
    02 00 00 00 00 00 00 00 00 10 01 00 00 00 00 00 00 20 01 00 00 00 00 00 00 00 00 00 00 00 00 00
    00*192
    """)

  /// message-page slot (SIMP + 0x200) holding V06, no message pending, sender id 0; 256 bytes.
  static let v34 = hex(
    """
    01 00 00 00 10 00 00 00 00 00 00 00 00 00 00 00 0f 00 00 00 00 00 00 00 01 00 00 00 24 00 00 00
    00*224
    """)

  /// HvSignalEvent input, connection 0x2005, flag 0 (fast-call register value 0x0000000000002005); 8 bytes.
  static let v35 = hex(
    """
    05 20 00 00 00 00 00 00
    """)

  /// in-band packet, completion requested, transaction 0x1122334455667788, payload 'hello', written at index 4072; 32
  /// bytes.
  static let v36 = hex(
    """
    06 00 02 00 03 00 01 00 88 77 66 55 44 33 22 11 68 65 6c 6c 6f 00 00 00 00 00 00 00 e8 0f 00 00
    """)

  /// completion packet for V36, payload u32 0, written at index 0; 32 bytes.
  static let v37 = hex(
    """
    0b 00 02 00 03 00 00 00 88 77 66 55 44 33 22 11 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    """)

  /// GPA-direct packet, transaction 7, 2 ranges (0x1000@0 over PFN 0x500; 0x1400@0xe00 over PFNs 0x501,0x502,0x600),
  /// 16-byte payload 00..0f, written at index 64; 96 bytes.
  static let v38 = hex(
    """
    09 00 09 00 0b 00 01 00 07 00 00 00 00 00 00 00 00 00 00 00 02 00 00 00 00 10 00 00 00 00 00 00
    00 05 00 00 00 00 00 00 00 14 00 00 00 0e 00 00 01 05 00 00 00 00 00 00 02 05 00 00 00 00 00 00
    00 06 00 00 00 00 00 00 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 00 00 00 00 40 00 00 00
    """)

  /// transfer-pages packet, transaction 9, page set 0xcafe, 2 ranges (60@0, 1514@0x700), 8-byte payload 01..08,
  /// written at index 0; 56 bytes.
  static let v39 = hex(
    """
    07 00 05 00 06 00 01 00 09 00 00 00 00 00 00 00 fe ca 00 00 02 00 00 00 3c 00 00 00 00 00 00 00
    ea 05 00 00 00 07 00 00 01 02 03 04 05 06 07 08 00 00 00 00 00 00 00 00
    """)

  /// pipe packet 'ab' in an in-band packet, no completion, transaction 0, written at index 0; 40 bytes.
  static let v40 = hex(
    """
    06 00 02 00 04 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 02 00 00 00 61 62 00 00 00 00 00 00
    00 00 00 00 00 00 00 00
    """)

  /// pipe end-of-stream packet, written at index 40; 32 bytes.
  static let v41 = hex(
    """
    06 00 02 00 03 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 28 00 00 00
    """)

  /// pipe packet of V40 after a reader consumed 1 of 2 bytes in place (type 2, length word 0x00010002); 40 bytes.
  static let v42 = hex(
    """
    06 00 02 00 04 00 00 00 00 00 00 00 00 00 00 00 02 00 00 00 02 00 01 00 61 62 00 00 00 00 00 00
    00 00 00 00 00 00 00 00
    """)
}
