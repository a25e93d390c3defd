import WireBytes

/// The body of a key-value pair message. An answer has the form of its request, with the empty fields filled in.
///
/// Layout and sizes as in Linux `include/uapi/linux/hyperv.h` (`hv_kvp_msg`, `hv_kvp_ip_msg`): a byte each for operation
/// and pool, two of padding, then what the operation needs, of a fixed size whatever the texts are.
public struct ICKeyValue: Hashable, Sendable {
  /// A store of keys.
  public struct Pool: RawRepresentable, Hashable, Sendable {
    /// The byte of the body.
    public let rawValue: UInt8

    /// Takes any byte.
    public init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// Keys that the host's administrator gives the guest.
    public static let external = Pool(rawValue: 0)
    /// Keys of the guest's own programs.
    public static let guest = Pool(rawValue: 1)
    /// What the guest's system tells of itself.
    public static let auto = Pool(rawValue: 2)
    /// What the host tells of itself.
    public static let autoExternal = Pool(rawValue: 3)
  }

  /// What is asked for or answered.
  public enum Operation: Hashable, Sendable {
    /// The value of a key (0).
    case get(ICKeyValuePair)
    /// Give a key a value (1).
    case set(ICKeyValuePair)
    /// Remove a key (2).
    case delete(key: String)
    /// The pair at an index; past the end the status is `noMoreItems` (3).
    case enumerate(index: UInt32, ICKeyValuePair)
    /// The addresses of an adapter (4).
    case getAddresses(ICAdapterAddresses)
    /// Give an adapter addresses (5).
    case setAddresses(ICAdapterAddresses)
  }

  /// The store that is meant; of no importance for addresses.
  public var pool: Pool
  /// What is asked for or answered.
  public var operation: Operation

  /// A body.
  public init(_ operation: Operation, pool: Pool = .guest) {
    self.operation = operation
    self.pool = pool
  }

  /// The space for a key, in bytes of UTF-16 with the terminating zero.
  public static let keyByteCount = 512
  /// The space for a value, in bytes of UTF-16 with the terminating zero.
  public static let valueByteCount = 2048
  /// The longest key that Linux guests take and give, in UTF-16 units.
  public static let maximumKeyUnitCount = keyByteCount / 2 - 2
  /// The longest text as a value, in UTF-16 units.
  public static let maximumValueUnitCount = valueByteCount / 2 - 2

  private static let start = ICHeader.bodyOffset
  private static let contentOffset = start + 4

  /// Reads the body after `header` in a ring payload.
  ///
  /// - Throws: `ICError` for an operation that is not known, a body that is too short for it, and texts that claim more
  ///   than their space.
  public init(parsing payload: RawSpan, header: ICHeader) throws(ICError) {
    let has = min(payload.byteCount - Self.start, Int(header.bodyByteCount))
    guard has >= 4 else { throw .tooShort(.keyValuePair, needs: 4, has: has) }
    let code = payload.byte(at: Self.start)
    pool = Pool(rawValue: payload.byte(at: Self.start + 1))
    guard let needs = Self.byteCount(ofOperation: code) else { throw .operation(code) }
    guard has >= needs else { throw .tooShort(.keyValuePair, needs: needs, has: has) }
    let content = Self.contentOffset
    switch code {
    case 0: operation = .get(try ICKeyValuePair(parsing: payload, at: content))
    case 1: operation = .set(try ICKeyValuePair(parsing: payload, at: content))
    case 2:
      let count = Int(payload.le32(at: content))
      operation = .delete(key: try payload.utf16(at: content + 4, byteCount: count, space: Self.keyByteCount))
    case 3:
      operation = .enumerate(
        index: payload.le32(at: content), try ICKeyValuePair(parsing: payload, at: content + 4))
    case 4: operation = .getAddresses(ICAdapterAddresses(parsing: payload, at: Self.start + 2))
    default: operation = .setAddresses(ICAdapterAddresses(parsing: payload, at: Self.start + 2))
    }
  }

  /// The ring payload with this body after `header`, whose body size is set. Texts beyond their space are cut.
  public func payload(header: ICHeader) -> [UInt8] {
    let code = self.code
    return header.payload(bodyByteCount: Self.byteCount(ofOperation: code) ?? 4) { bytes in
      bytes.storeLE(code, at: Self.start)
      bytes.storeLE(pool.rawValue, at: Self.start + 1)
      let content = Self.contentOffset
      switch operation {
      case .get(let pair), .set(let pair): pair.store(into: &bytes, at: content)
      case .delete(let key):
        let count = bytes.storeUTF16(key, at: content + 4, space: Self.keyByteCount)
        bytes.storeLE(UInt32(count), at: content)
      case .enumerate(let index, let pair):
        bytes.storeLE(index, at: content)
        pair.store(into: &bytes, at: content + 4)
      case .getAddresses(let addresses), .setAddresses(let addresses):
        addresses.store(into: &bytes, at: Self.start + 2)
      }
    }
  }

  private var code: UInt8 {
    switch operation {
    case .get: 0
    case .set: 1
    case .delete: 2
    case .enumerate: 3
    case .getAddresses: 4
    case .setAddresses: 5
    }
  }

  /// The size of the body of an operation; nil for one that is not known.
  private static func byteCount(ofOperation code: UInt8) -> Int? {
    switch code {
    case 0, 1: 4 + ICKeyValuePair.byteCount
    case 2: 4 + 4 + keyByteCount
    case 3: 4 + 4 + ICKeyValuePair.byteCount
    case 4, 5: 2 + ICAdapterAddresses.byteCount
    default: nil
    }
  }
}
