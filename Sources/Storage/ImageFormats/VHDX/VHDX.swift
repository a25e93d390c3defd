/// Places and limits of the VHDX format ([MS-VHDX] sections 2.1 to 2.6). All integers are little-endian.
public enum VHDX {
  /// The first eight bytes of a file.
  public static let signature = Array("vhdxfile".utf8)
  /// Everything behind the header section is aligned to this many bytes.
  public static let alignment: UInt64 = 1 << 20
  /// Length of the header section in bytes; also the smallest offset of anything else.
  public static let headerSectionByteCount: UInt64 = 1 << 20
  /// Where the two headers stand.
  public static let headerOffsets: [UInt64] = [64 << 10, 128 << 10]
  /// Where the two region tables stand.
  public static let regionTableOffsets: [UInt64] = [192 << 10, 256 << 10]
  /// The smallest offset that the log may change: headers and identifier are not its.
  public static let firstLoggedOffset: UInt64 = 192 << 10
  /// The unit of the log and of metadata, in bytes.
  public static let pageByteCount = 4096
  /// The largest disk, in bytes.
  public static let maximumDiskByteCount: UInt64 = 64 << 40
  /// The smallest and largest block, in bytes.
  public static let blockByteCounts: ClosedRange<UInt64> = (1 << 20)...(256 << 20)
  /// Length of a block of sector bitmaps, in bytes.
  public static let bitmapBlockByteCount: UInt64 = 1 << 20
  /// How many sectors one bitmap block covers: one chunk.
  public static let chunkSectorCount: UInt64 = 1 << 23
  /// The longest log that is read, in bytes; the format itself sets no limit.
  public static let maximumLogByteCount: UInt64 = 1 << 30
}
