import WireBytes

/// The body of a time synchronization message. Times count 100 ns since 1601-01-01 UTC.
public struct ICTimeSync: Hashable, Sendable {
  /// What the guest shall do with the time.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The byte of the body.
    public let rawValue: UInt8

    /// Takes any byte.
    public init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// Step the clock.
    public static let sync = Flags(rawValue: 1)
    /// A sample to discipline the clock with.
    public static let sample = Flags(rawValue: 2)
  }

  /// The time of the host.
  public var parentTime: UInt64
  /// The reference counter of the virtual machine when the time was taken, in units of 100 ns; from 4.0 on.
  public var referenceTime: UInt64?
  /// What to do with it.
  public var flags: Flags
  /// The leap indicator of the host's clock; from 4.0 on.
  public var leap: UInt8
  /// The stratum of the host's clock; from 4.0 on.
  public var stratum: UInt8

  /// 1970-01-01 UTC in this count.
  public static let unixEpoch: UInt64 = 116_444_736_000_000_000

  /// A message; `referenceTime` is nil before 4.0.
  public init(parentTime: UInt64, referenceTime: UInt64?, flags: Flags, leap: UInt8 = 0, stratum: UInt8 = 0) {
    self.parentTime = parentTime
    self.referenceTime = referenceTime
    self.flags = flags
    self.leap = leap
    self.stratum = stratum
  }

  /// Reads the body after `header` in a ring payload; the layout follows the header's message version.
  public init(parsing payload: RawSpan, header: ICHeader) throws(ICError) {
    let start = ICHeader.bodyOffset
    let has = min(payload.byteCount - start, Int(header.bodyByteCount))
    let isNew = header.messageVersion >= ICVersion(4, 0)
    let needs = isNew ? 19 : 25
    guard has >= needs else { throw .tooShort(.timeSync, needs: needs, has: has) }
    parentTime = payload.le64(at: start)
    if isNew {
      referenceTime = payload.le64(at: start + 8)
      flags = Flags(rawValue: payload.byte(at: start + 16))
      leap = payload.byte(at: start + 17)
      stratum = payload.byte(at: start + 18)
    } else {
      // The old layout has an unused child time and a round trip time before the flags.
      referenceTime = nil
      flags = Flags(rawValue: payload.byte(at: start + 24))
      leap = 0
      stratum = 0
    }
  }

  /// The ring payload with this body after `header`, whose body size is set; the layout follows the header's message
  /// version. Before 4.0 there is no place for the reference time, the leap indicator and the stratum.
  public func payload(header: ICHeader) -> [UInt8] {
    guard header.messageVersion >= ICVersion(4, 0) else {
      return header.payload(bodyByteCount: 32) { bytes in
        bytes.storeLE(parentTime, at: ICHeader.bodyOffset)
        bytes.storeLE(flags.rawValue, at: ICHeader.bodyOffset + 24)
      }
    }
    return header.payload(bodyByteCount: 24) { bytes in
      bytes.storeLE(parentTime, at: ICHeader.bodyOffset)
      bytes.storeLE(referenceTime ?? 0, at: ICHeader.bodyOffset + 8)
      bytes.storeLE(flags.rawValue, at: ICHeader.bodyOffset + 16)
      bytes.storeLE(leap, at: ICHeader.bodyOffset + 17)
      bytes.storeLE(stratum, at: ICHeader.bodyOffset + 18)
    }
  }
}
