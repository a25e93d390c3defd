/// Data blocks and packets with known bytes: name | length, CRC-32, ring position | bytes.
let dataVectors = """
  D01 INQUIRY standard, 36 of 36 | 36 5b0be287 | 00 00 05 02 1f 00 00 02 4d 73 66 74 20 20 20 20 56 69 72 74 75 \
  61 6c 20 44 69 73 6b 20 20 20 20 31 2e 30 20
  D02 INQUIRY standard, 104 bytes as OpenVMM builds it | 104 4dcc2e30 | 00 00 05 02 63 00 00 02 4d 73 66 74 20 \
  20 20 20 56 69 72 74 75 61 6c 20 44 69 73 6b 20 20 20 20 31 2e 30 20 [68]
  D03 INQUIRY, absent LUN 9, 36 bytes | 36 165aed4c | 7f 00 05 02 63 00 00 02 [28]
  D04 VPD 00 | 10 d3bf4742 | 00 00 00 06 00 80 83 b0 b1 b2
  D05 VPD 83 | 52 2d22cc3a | 00 83 00 30 01 01 00 18 4d 73 66 74 20 20 20 20 d1 2d 2b 96 19 b4 00 11 22 33 3a 50 \
  2c a6 40 06 01 03 00 10 60 02 24 80 d1 2d 2b 96 19 b4 3a 50 2c a6 40 06
  D06 VPD B0 | 64 90b0f16f | 00 b0 00 3c [16] ff ff ff ff 00 00 10 00 00 00 00 01 80 [9] 40 [21]
  D07 VPD B1 | 64 765130b0 | 00 b1 00 3c 00 01 [58]
  D08 VPD B2 | 8 4cf73947 | 00 b2 00 04 01 80 02 00
  D09 READ CAPACITY(10), 64 GiB, 512 B | 8 e1479282 | 07 ff ff ff 00 00 02 00
  D10 READ CAPACITY(16), 64 GiB, 512 B, 4 KiB physical, LBPME | 32 d226274b | 00 00 00 00 07 ff ff ff 00 00 02 \
  00 00 03 80 [17]
  D11 MODE SENSE(6) page 08, WCE=1, DPOFUA=1 | 16 e9ab9e03 | 0f 00 10 00 08 0a 04 [9]
  D12 MODE SENSE(10) page 08, WCE=1, DPOFUA=1, write protected | 20 28b67ae3 | 00 12 00 90 00 00 00 00 08 0a 04 \
  [9]
  D13 REPORT LUNS, LUNs 0, 1, 5 | 32 dadde945 | 00 00 00 18 [13] 01 [7] 05 [6]
  D14 UNMAP list, LBA 0x10000, 0x800 blocks | 24 29407157 | 00 16 00 10 [9] 01 00 00 00 00 08 00 00 00 00 00
  D15 fixed sense 5/21/00 | 18 fa750804 | 70 00 05 00 00 00 00 0a 00 00 00 00 21 00 00 00 00 00
  D16 GET LBA STATUS, one mapped extent LBA 0x1000, 0x2000 blocks | 24 dade58a9 | 00 00 00 14 [10] 10 00 00 00 \
  20 00 00 00 00 00
  D17 PERSISTENT RESERVE OUT list, REGISTER key 0x1122334455667788 | 24 b4ef3da3 | [8] 11 22 33 44 55 66 77 88 \
  [8]
  """
