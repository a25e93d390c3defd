import TestVectors

extension Golden {
  /// INITIATE_CONTACT, version 4.0, VP 0, interrupt page 0x10000, monitor pages 0x11000/0x12000; 40 bytes.
  static let v01 = hex(
    """
    0e 00 00 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00 01 00 00 00 00 00 00 10 01 00 00 00 00 00
    00 20 01 00 00 00 00 00
    """)

  /// INITIATE_CONTACT, version 5.3, VP 0, SINT 2, VTL 0, same monitor pages; 40 bytes.
  static let v02 = hex(
    """
    0e 00 00 00 00 00 00 00 03 00 05 00 00 00 00 00 02 00 00 00 00 00 00 00 00 10 01 00 00 00 00 00
    00 20 01 00 00 00 00 00
    """)

  /// INITIATE_CONTACT2, version 6.0, VP 3, SINT 2, features 0x2f, no monitor pages, client id
  /// 00112233-4455-6677-8899-aabbccddeeff; 56 bytes.
  static let v03 = hex(
    """
    0e 00 00 00 00 00 00 00 00 00 06 00 03 00 00 00 02 00 00 00 2f 00 00 00 00 00 00 00 00 00 00 00
    00 00 00 00 00 00 00 00 33 22 11 00 55 44 77 66 88 99 aa bb cc dd ee ff
    """)

  /// VERSION_RESPONSE, unsupported; 16 bytes.
  static let v04 = hex(
    """
    0f 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    """)

  /// VERSION_RESPONSE, 4.0 accepted (selected version); 16 bytes.
  static let v05 = hex(
    """
    0f 00 00 00 00 00 00 00 01 00 00 00 00 00 04 00
    """)

  /// VERSION_RESPONSE, 5.3 accepted (message connection id 0x24); 16 bytes.
  static let v06 = hex(
    """
    0f 00 00 00 00 00 00 00 01 00 00 00 24 00 00 00
    """)

  /// VERSION_RESPONSE2, 6.0 accepted, id 0x24, features 0x26; 20 bytes.
  static let v07 = hex(
    """
    0f 00 00 00 00 00 00 00 01 00 00 00 24 00 00 00 26 00 00 00
    """)

  /// VERSION_RESPONSE, supported but failed (state 2, unknown failure); 16 bytes.
  static let v08 = hex(
    """
    0f 00 00 00 00 00 00 00 01 02 00 00 00 00 00 00
    """)

  /// REQUEST_OFFERS; 8 bytes.
  static let v09 = hex(
    """
    03 00 00 00 00 00 00 00
    """)

  /// ALL_OFFERS_DELIVERED; 8 bytes.
  static let v10 = hex(
    """
    04 00 00 00 00 00 00 00
    """)

  /// OFFER_CHANNEL, NIC, instance 01234567-89ab-cdef-0123-456789abcdef, flags 1, relid 5, monitor id 2 allocated,
  /// dedicated, connection id 0x2005; 196 bytes.
  static let v11 = hex(
    """
    01 00 00 00 00 00 00 00 63 51 61 f8 3e df c5 46 91 3f f2 d2 f9 65 ed 0e 67 45 23 01 ab 89 ef cd
    01 23 45 67 89 ab cd ef 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
    00*96
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05 00 00 00 02 01 01 00
    05 20 00 00
    """)

  /// OFFER_CHANNEL, hvsock service port 1024, flags 0x2010, guest-accept, params version 1, relid 9, no monitor; 196
  /// bytes.
  static let v12 = hex(
    """
    01 00 00 00 00 00 00 00 00 04 00 00 cb fa e6 11 bd 58 64 00 6a 79 86 d3 11 11 11 11 22 22 33 33
    44 44 55 55 55 55 55 55 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 10 20 00 00 00 00 00 00
    01 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    00*64
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 09 00 00 00 ff 00 01 00
    09 20 00 00
    """)

  /// RESCIND_CHANNEL_OFFER, relid 5; 12 bytes.
  static let v13 = hex(
    """
    02 00 00 00 00 00 00 00 05 00 00 00
    """)

  /// REL_ID_RELEASED, relid 5; 12 bytes.
  static let v14 = hex(
    """
    0d 00 00 00 00 00 00 00 05 00 00 00
    """)

  /// GPADL_HEADER, relid 5, gpadl 0xe1e10, 3-page buffer, complete in one message; 52 bytes.
  static let v15 = hex(
    """
    08 00 00 00 00 00 00 00 05 00 00 00 10 1e 0e 00 20 00 01 00 00 30 00 00 00 00 00 00 00 01 00 00
    00 00 00 00 01 01 00 00 00 00 00 00 02 01 00 00 00 00 00 00
    """)

  /// GPADL_HEADER, relid 5, gpadl 0xe1e11, 40 pages (PFN 0x200..0x227), first 26 PFNs; 236 bytes.
  static let v16 = hex(
    """
    08 00 00 00 00 00 00 00 05 00 00 00 11 1e 0e 00 48 01 01 00 00 80 02 00 00 00 00 00 00 02 00 00
    00 00 00 00 01 02 00 00 00 00 00 00 02 02 00 00 00 00 00 00 03 02 00 00 00 00 00 00 04 02 00 00
    00 00 00 00 05 02 00 00 00 00 00 00 06 02 00 00 00 00 00 00 07 02 00 00 00 00 00 00 08 02 00 00
    00 00 00 00 09 02 00 00 00 00 00 00 0a 02 00 00 00 00 00 00 0b 02 00 00 00 00 00 00 0c 02 00 00
    00 00 00 00 0d 02 00 00 00 00 00 00 0e 02 00 00 00 00 00 00 0f 02 00 00 00 00 00 00 10 02 00 00
    00 00 00 00 11 02 00 00 00 00 00 00 12 02 00 00 00 00 00 00 13 02 00 00 00 00 00 00 14 02 00 00
    00 00 00 00 15 02 00 00 00 00 00 00 16 02 00 00 00 00 00 00 17 02 00 00 00 00 00 00 18 02 00 00
    00 00 00 00 19 02 00 00 00 00 00 00
    """)

  /// GPADL_BODY continuing V16, last 14 PFNs; 128 bytes.
  static let v17 = hex(
    """
    09 00 00 00 00 00 00 00 00 00 00 00 11 1e 0e 00 1a 02 00 00 00 00 00 00 1b 02 00 00 00 00 00 00
    1c 02 00 00 00 00 00 00 1d 02 00 00 00 00 00 00 1e 02 00 00 00 00 00 00 1f 02 00 00 00 00 00 00
    20 02 00 00 00 00 00 00 21 02 00 00 00 00 00 00 22 02 00 00 00 00 00 00 23 02 00 00 00 00 00 00
    24 02 00 00 00 00 00 00 25 02 00 00 00 00 00 00 26 02 00 00 00 00 00 00 27 02 00 00 00 00 00 00
    """)

  /// GPADL_HEADER, two ranges: 0x1800 bytes at offset 0x800 over 2 pages; 0x10 bytes at offset 0xff8 over 2 pages; 68
  /// bytes.
  static let v18 = hex(
    """
    08 00 00 00 00 00 00 00 05 00 00 00 12 1e 0e 00 30 00 02 00 00 18 00 00 00 08 00 00 00 03 00 00
    00 00 00 00 01 03 00 00 00 00 00 00 10 00 00 00 f8 0f 00 00 00 04 00 00 00 00 00 00 ff 07 00 00
    00 00 00 00
    """)

  /// GPADL_CREATED, relid 5, gpadl 0xe1e10, ok; 20 bytes.
  static let v19 = hex(
    """
    0a 00 00 00 00 00 00 00 05 00 00 00 10 1e 0e 00 00 00 00 00
    """)

  /// GPADL_CREATED, relid 5, gpadl 0xe1e12, unspecified failure 0x8000ffff; 20 bytes.
  static let v20 = hex(
    """
    0a 00 00 00 00 00 00 00 05 00 00 00 12 1e 0e 00 ff ff 00 80
    """)

  /// GPADL_TEARDOWN, relid 5, gpadl 0xe1e10; 16 bytes.
  static let v21 = hex(
    """
    0b 00 00 00 00 00 00 00 05 00 00 00 10 1e 0e 00
    """)

  /// GPADL_TORNDOWN, gpadl 0xe1e10; 12 bytes.
  static let v22 = hex(
    """
    0c 00 00 00 00 00 00 00 10 1e 0e 00
    """)

  /// OPEN_CHANNEL, relid 5, open id 5, gpadl 0xe1e11, VP 1, downstream page 20; 148 bytes.
  static let v23 = hex(
    """
    05 00 00 00 00 00 00 00 05 00 00 00 05 00 00 00 11 1e 0e 00 01 00 00 00 14 00 00 00 00 00 00 00
    00*116
    """)

  /// OPEN_CHANNEL2, as V23 plus connection id 0x2005, event flag 5, redirect 0; 156 bytes.
  static let v24 = hex(
    """
    05 00 00 00 00 00 00 00 05 00 00 00 05 00 00 00 11 1e 0e 00 01 00 00 00 14 00 00 00 00 00 00 00
    00*96
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05 20 00 00 05 00 00 00
    """)

  /// OPEN_CHANNEL_RESULT, relid 5, open id 5, ok; 20 bytes.
  static let v25 = hex(
    """
    06 00 00 00 00 00 00 00 05 00 00 00 05 00 00 00 00 00 00 00
    """)

  /// CLOSE_CHANNEL, relid 5; 12 bytes.
  static let v26 = hex(
    """
    07 00 00 00 00 00 00 00 05 00 00 00
    """)

  /// MODIFY_CHANNEL, relid 5, VP 2; 16 bytes.
  static let v27 = hex(
    """
    16 00 00 00 00 00 00 00 05 00 00 00 02 00 00 00
    """)

  /// MODIFY_CHANNEL_RESPONSE, relid 5, ok; 16 bytes.
  static let v28 = hex(
    """
    18 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00
    """)

  /// TL_CONNECT_REQUEST (40-byte form), endpoint 11111111-2222-3333-4444-555555555555, service port 1024; 40 bytes.
  static let v29 = hex(
    """
    15 00 00 00 00 00 00 00 11 11 11 11 22 22 33 33 44 44 55 55 55 55 55 55 00 04 00 00 cb fa e6 11
    bd 58 64 00 6a 79 86 d3
    """)

  /// TL_CONNECT_REQUEST_RESULT, same GUIDs, STATUS_CONNECTION_REFUSED; 44 bytes.
  static let v30 = hex(
    """
    17 00 00 00 00 00 00 00 11 11 11 11 22 22 33 33 44 44 55 55 55 55 55 55 00 04 00 00 cb fa e6 11
    bd 58 64 00 6a 79 86 d3 36 02 00 c0
    """)

  /// UNLOAD; 8 bytes.
  static let v31 = hex(
    """
    10 00 00 00 00 00 00 00
    """)

  /// UNLOAD_COMPLETE; 8 bytes.
  static let v32 = hex(
    """
    11 00 00 00 00 00 00 00
    """)
}
