import CNBD
import LinuxIO

/// The way to a connection that is ready.
extension NBDConnection {
  /// - Parameter connection: one that was made; it stays the caller's.
  @unsafe static func open(
    _ connection: OpaquePointer, _ endpoint: NBDEndpoint, milliseconds: Int, cancel: Int32?
  ) throws(NBDError) -> NBDExport {
    // SAFETY: the connection is valid during all calls, which copy the texts.
    func check(_ result: Int32, _ step: NBDError.Step) throws(NBDError) {
      if result < 0 { throw unsafe problem(connection, step) }
    }
    let (security, place): (synthgate_nbd_security, String?) =
      switch endpoint.security {
      case .plain: (SYNTHGATE_NBD_PLAIN, nil)
      case .certificates(let directory): (SYNTHGATE_NBD_CERTIFICATES, directory)
      case .sharedKey(let file): (SYNTHGATE_NBD_SHARED_KEY, file)
      }
    try check(
      unsafe synthgate_nbd_configure(
        connection, endpoint.exportName, Int32(security.rawValue), place, endpoint.user), .setUp)
    let end = monotonicNanoseconds() + UInt64(max(0, milliseconds)) * 1_000_000
    switch endpoint.transport {
    case .unix(let path): try check(unsafe synthgate_nbd_connect_unix(connection, path), .connection)
    case .tcp(let host, let port):
      try check(unsafe synthgate_nbd_connect_tcp(connection, host, "\(port)"), .connection)
    }
    // SAFETY: the connection is valid.
    try unsafe follow(connection, end, cancel, .connection)
    if unsafe synthgate_nbd_state(connection) == SYNTHGATE_NBD_NEGOTIATING {
      try check(unsafe synthgate_nbd_choose_export(connection), .export)
      try unsafe follow(connection, end, cancel, .export)
      // The server has refused, and waits for another name.
      if unsafe synthgate_nbd_state(connection) != SYNTHGATE_NBD_READY { throw unsafe problem(connection, .export) }
    }
    var facts = synthgate_nbd_facts()
    let result = unsafe synthgate_nbd_facts(connection, &facts)
    if result < 0 { throw NBDError(.export, Errno(rawValue: -result), "the server tells an impossible size") }
    return NBDExport(facts)
  }

  /// Waits until the connection is ready, or the server wants to know the export.
  @unsafe private static func follow(
    _ connection: OpaquePointer, _ end: UInt64, _ cancel: Int32?, _ step: NBDError.Step
  ) throws(NBDError) {
    while true {
      // SAFETY: the connection is valid during all calls.
      switch unsafe synthgate_nbd_state(connection) {
      case SYNTHGATE_NBD_CONNECTING: break
      case SYNTHGATE_NBD_ENDED: throw unsafe problem(connection, step)
      default: return
      }
      let now = monotonicNanoseconds()
      if now >= end { throw NBDError(.time, .ETIMEDOUT) }
      let milliseconds = Int32(clamping: (end - now) / 1_000_000 + 1)
      if unsafe synthgate_nbd_wait(connection, cancel ?? -1, milliseconds) != 0 { throw NBDError(.cancelled) }
      unsafe synthgate_nbd_progress(connection)
    }
  }

  @unsafe private static func problem(_ connection: OpaquePointer, _ step: NBDError.Step) -> NBDError {
    // SAFETY: the text belongs to the connection and is copied.
    let number = unsafe synthgate_nbd_problem_number(connection)
    let text = unsafe String(cString: synthgate_nbd_problem(connection))
    return NBDError(step, number > 0 ? Errno(rawValue: number) : nil, text)
  }
}

extension NBDExport {
  init(_ facts: synthgate_nbd_facts) {
    byteCount = UInt64(facts.byte_count)
    minimumBlockByteCount = UInt64(facts.minimum_block)
    preferredBlockByteCount = UInt64(facts.preferred_block)
    maximumPayloadByteCount = UInt64(facts.maximum_payload)
    isReadOnly = facts.is_read_only != 0
    canFlush = facts.can_flush != 0
    canForceUnitAccess = facts.can_force_unit_access != 0
    canTrim = facts.can_trim != 0
    canZero = facts.can_zero != 0
    canMultiConnection = facts.can_multi_connection != 0
    canBlockStatus = facts.can_block_status != 0
    isRotational = facts.is_rotational != 0
    isEncrypted = facts.is_encrypted != 0
  }
}
