/// Data blocks and packets with known bytes: name | length, CRC-32, ring position | bytes.
package let storvscVectors = """
  V01 BEGIN request | 88 31e687b6 G+0x0 | 06 00 02 00 0a 00 01 00 fd ff ff ff ff ff ff ff 07 00 00 00 01 [67]
  V02 BEGIN reply | 88 cf7b3f1c H+0x0 | 0b 00 02 00 0a 00 00 00 fd ff ff ff ff ff ff ff 01 [71]
  V03 VERSION 6.2 request | 88 ff84cb5e G+0x58 | 06 00 02 00 0a 00 01 00 fd ff ff ff ff ff ff ff 09 00 00 00 01 \
  [7] 02 06 [54] 58 00 00 00
  V04 VERSION 6.2 refused | 88 a535060c H+0x58 | 0b 00 02 00 0a 00 00 00 fd ff ff ff ff ff ff ff 01 [7] 59 00 00 \
  c0 02 06 [54] 58 00 00 00
  V05 VERSION 6.0 request | 88 a299b9d6 G+0xb0 | 06 00 02 00 0a 00 01 00 fd ff ff ff ff ff ff ff 09 00 00 00 01 \
  [8] 06 [54] b0 00 00 00
  V06 VERSION 6.0 accepted | 88 7ed06be1 H+0xb0 | 0b 00 02 00 0a 00 00 00 fd ff ff ff ff ff ff ff 01 [12] 06 \
  [54] b0 00 00 00
  V07 PROPERTIES request | 88 fe285d0e G+0x108 | 06 00 02 00 0a 00 01 00 fd ff ff ff ff ff ff ff 0a 00 00 00 01 \
  [63] 08 01 00 00
  V08 PROPERTIES reply | 88 6029ddbd H+0x108 | 0b 00 02 00 0a 00 00 00 fd ff ff ff ff ff ff ff 01 [15] 03 00 00 \
  00 01 00 00 00 00 00 04 [41] 08 01 00 00
  V09 END request | 88 87dd238b G+0x160 | 06 00 02 00 0a 00 01 00 fd ff ff ff ff ff ff ff 08 00 00 00 01 [63] 60 \
  01 00 00
  V10 END reply | 88 f59fa228 H+0x160 | 0b 00 02 00 0a 00 00 00 fd ff ff ff ff ff ff ff 01 [67] 60 01 00 00
  V11 CREATE_SUB_CHANNELS request | 88 9b8d302a G+0x1b8 | 06 00 02 00 0a 00 01 00 fd ff ff ff ff ff ff ff 0d 00 \
  00 00 01 [7] 03 [55] b8 01 00 00
  V12 CREATE_SUB_CHANNELS reply | 88 167f335e H+0x1b8 | 0b 00 02 00 0a 00 00 00 fd ff ff ff ff ff ff ff 01 [67] \
  b8 01 00 00
  V13 INQUIRY request | 112 ab235535 G+0x210 | 09 00 05 00 0d 00 01 00 01 [11] 01 00 00 00 24 00 00 00 00 01 00 \
  00 40 23 01 00 00 00 00 00 03 00 00 00 01 [7] 34 [7] 06 14 01 00 24 00 00 00 12 00 00 00 24 [19] 48 00 00 00 \
  3c [11] 10 02 00 00
  V14 INQUIRY completion | 88 a033c999 H+0x210 | 0b 00 02 00 0a 00 00 00 01 [7] 01 [11] 34 00 01 00 00 00 00 00 \
  10 14 00 00 24 [43] 10 02 00 00
  V15 TEST UNIT READY request | 88 e892e69c G+0x280 | 06 00 02 00 0a 00 01 00 02 [7] 03 00 00 00 01 [7] 34 [7] \
  06 14 02 [29] 08 00 00 00 3c [11] 80 02 00 00
  V16 TEST UNIT READY completion, unit attention 2A/09 | 88 e9c67cc6 H+0x268 | 0b 00 02 00 0a 00 00 00 02 [7] 01 \
  [7] 85 01 00 c0 34 00 84 02 00 00 00 00 10 14 [6] 70 00 06 00 00 00 00 0a 00 00 00 00 2a 09 [26] 68 02 00 00
  V17 READ(16) request | 128 2fb974e8 G+0x2d8 | 09 00 07 00 0f 00 01 00 03 [11] 01 00 00 00 00 20 00 00 00 02 00 \
  00 45 23 01 00 00 00 00 00 99 23 01 00 00 00 00 00 de bc 0a 00 00 00 00 00 03 00 00 00 01 [7] 34 [7] 10 14 01 \
  00 00 20 00 00 88 [7] 10 00 00 00 00 10 [8] ff 20 4a 01 00 00 3c [11] d8 02 00 00
  V18 READ(16) completion | 88 d15d23f4 H+0x2c0 | 0b 00 02 00 0a 00 00 00 03 [7] 01 [11] 34 00 01 00 00 00 00 00 \
  10 14 00 00 00 20 [42] c0 02 00 00
  V19 WRITE(10) FUA request | 112 f809b28c G+0x358 | 09 00 05 00 0d 00 01 00 04 [11] 01 00 00 00 00 10 [6] 21 43 \
  05 00 00 00 00 00 03 00 00 00 01 [7] 34 [7] 0a 14 00 00 00 10 00 00 2a 08 00 00 08 00 00 00 08 [13] ff 20 8a \
  01 00 00 3c [11] 58 03 00 00
  V20 WRITE(10) completion, write protected | 88 704fe770 H+0x318 | 0b 00 02 00 0a 00 00 00 04 [7] 01 [7] 85 01 \
  00 c0 34 00 84 02 00 00 00 00 10 14 [6] 70 00 07 00 00 00 00 0a 00 00 00 00 27 [27] 18 03 00 00
  V21 SYNCHRONIZE CACHE(10) request | 88 9dbc15c5 G+0x3c8 | 06 00 02 00 0a 00 01 00 05 [7] 03 00 00 00 01 [7] 34 \
  [7] 0a 14 02 00 00 00 00 00 35 [21] ff 20 0a 01 00 00 3c [11] c8 03 00 00
  V22 SYNCHRONIZE CACHE(10) completion | 88 c777050d H+0x370 | 0b 00 02 00 0a 00 00 00 05 [7] 01 [11] 34 00 01 \
  00 00 00 00 00 10 14 [46] 70 03 00 00
  V23 UNMAP request | 112 129f86bf G+0x420 | 09 00 05 00 0d 00 01 00 06 [11] 01 00 00 00 18 00 00 00 40 00 00 00 \
  77 07 [6] 03 00 00 00 01 [7] 34 [7] 0a 14 00 00 18 00 00 00 42 [7] 18 [13] ff 20 8a 01 00 00 3c [11] 20 04 00 \
  00
  V24 UNMAP completion | 88 60db6aa4 H+0x3c8 | 0b 00 02 00 0a 00 00 00 06 [7] 01 [11] 34 00 01 00 00 00 00 00 10 \
  14 00 00 18 [43] c8 03 00 00
  V25 READ(16) past the end, request | 112 ddf6b636 G+0x490 | 09 00 05 00 0d 00 01 00 07 [11] 01 00 00 00 00 10 \
  [6] 88 08 [6] 03 00 00 00 01 [7] 34 [7] 10 14 01 00 00 10 00 00 88 00 00 00 00 00 08 [6] 08 [8] ff 20 4a 01 00 \
  00 3c [11] 90 04 00 00
  V26 READ(16) past the end, completion 5/21/00 | 88 21348e00 H+0x420 | 0b 00 02 00 0a 00 00 00 07 [7] 01 [7] 85 \
  01 00 c0 34 00 86 02 00 00 00 00 10 14 [6] 70 00 05 00 00 00 00 0a 00 00 00 00 21 [27] 20 04 00 00
  V27 TEST UNIT READY to absent LUN 9 | 88 e708886b G+0x500 | 06 00 02 00 0a 00 01 00 08 [7] 03 00 00 00 01 [7] \
  34 [6] 09 06 14 02 [29] 08 00 00 00 3c [12] 05 00 00
  V28 completion INVALID_LUN | 88 02427b14 H+0x478 | 0b 00 02 00 0a 00 00 00 08 [7] 01 [7] c0 00 00 c0 34 00 20 \
  02 00 00 00 00 10 14 [46] 78 04 00 00
  V29 RESET_BUS request | 88 8bb8a991 G+0x558 | 06 00 02 00 0a 00 01 00 fc ff ff ff ff ff ff ff 06 00 00 00 01 \
  [63] 58 05 00 00
  V30 RESET_BUS reply | 88 f201b64c H+0x4d0 | 0b 00 02 00 0a 00 00 00 fc ff ff ff ff ff ff ff 01 [67] d0 04 00 \
  00
  V31 ENUMERATE_BUS (unsolicited) | 88 0d10f94a H+0x528 | 06 00 02 00 0a [11] 0b [67] 28 05 00 00
  V32 READ(10), 48-byte vstor packet (2.0/4.2) | 96 275d270c | 09 00 05 00 0b 00 01 00 01 [11] 01 00 00 00 00 10 \
  [6] 99 09 [6] 03 00 00 00 01 [7] 24 [7] 0a 12 01 00 00 10 00 00 28 [7] 08 [19]
  V33 FCHBA_DATA reply | 88 17688d92 | 0b 00 02 00 0a 00 00 00 fd ff ff ff ff ff ff ff 01 [11] 01 00 00 00 c0 03 \
  ff 01 02 03 00 00 c0 03 ff 01 02 03 ff ff c0 03 ff 01 02 03 00 02 c0 03 ff 01 02 03 ff ff [24]
  D18 IDE offer user data (channel 1, device 0) | 24 33498b83 | 00 00 01 00 00 00 00 00 02 [15]
  """
