import TestVectors

/// Key-value pair messages, composed by hand from Linux `include/uapi/linux/hyperv.h` (`hv_kvp_msg`, `hv_kvp_ip_msg`).
extension Golden {
  /// Enumerate the guest's own pool (2), index 5, version 4.0, transaction 7: request; 2608 bytes.
  static let keyValueEnumeration = hex(
    """
    01 00 00 00 28 0a 00 00 03 00 00 00 02 00 04 00 00 00 14 0a 00 00 00 00 07 03 00 00
    03 02 00 00 05 00 00 00 01 00 00 00 02 00 00 00 02 00 00 00 00*512 00*2048
    """)

  /// Its answer of a Linux guest: OSName is "Debian"; lengths count the terminating zeros.
  static let keyValueEnumerationAnswer = hex(
    """
    01 00 00 00 28 0a 00 00 03 00 00 00 02 00 04 00 00 00 14 0a 00 00 00 00 07 05 00 00
    03 02 00 00 05 00 00 00 01 00 00 00 0e 00 00 00 0e 00 00 00
    4f 00 53 00 4e 00 61 00 6d 00 65 00 00*500
    44 00 65 00 62 00 69 00 61 00 6e 00 00*2036
    """)

  /// Delete the key "ab" of the guest pool, transaction 1; 548 bytes.
  static let keyValueDeletion = hex(
    """
    01 00 00 00 1c 02 00 00 03 00 00 00 02 00 04 00 00 00 08 02 00 00 00 00 01 03 00 00
    02 01 00 00 06 00 00 00 61 00 62 00 00*508
    """)

  /// Ask for the addresses of the adapter "0:A", transaction 9; the body starts right behind operation and pool; 7456 bytes.
  static let keyValueAddresses = hex(
    """
    01 00 00 00 18 1d 00 00 03 00 00 00 02 00 04 00 00 00 04 1d 00 00 00 00 09 03 00 00
    04 00 30 00 3a 00 41 00 00*250 00 00 00*2048 00*2048 00*1024 00*2048
    """)

  /// Its answer: DHCP, 1.2.3.4 and ::1, mask 255.0.0.0, gateway 1.2.3.1, no name server.
  static let keyValueAddressesAnswer = hex(
    """
    01 00 00 00 18 1d 00 00 03 00 00 00 02 00 04 00 00 00 04 1d 00 00 00 00 09 05 00 00
    04 00 30 00 3a 00 41 00 00*250 00 01
    31 00 2e 00 32 00 2e 00 33 00 2e 00 34 00 3b 00 3a 00 3a 00 31 00 00*2026
    32 00 35 00 35 00 2e 00 30 00 2e 00 30 00 2e 00 30 00 00*2030
    31 00 2e 00 32 00 2e 00 33 00 2e 00 31 00 00*1010 00*2048
    """)
}
