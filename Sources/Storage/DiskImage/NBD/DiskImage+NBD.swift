import NBDConnection

extension DiskImage {
  /// Whether `source` is the URI of an NBD source and not a path. A file of such a name is `./nbd:...`.
  public static func isRemote(_ source: String) -> Bool { NBDAddress.isMeant(by: source) }

  /// Looks at a URI without asking the server.
  ///
  /// - Throws: `.address` when `source` is the URI of an NBD source, but a wrong one.
  public static func checkAddress(_ source: String) throws(DiskImageError) {
    if isRemote(source) { _ = try nbdAddress(source) }
  }

  static func nbdAddress(_ uri: String) throws(DiskImageError) -> NBDAddress {
    do throws(NBDAddress.Fault) { return try NBDAddress(uri) } catch { throw .address(error.text) }
  }

  /// Describes the export of an NBD server.
  static func describeNBD(_ uri: String) throws(DiskImageError) -> ImageDescription {
    let address = try nbdAddress(uri)
    var connection = try NBDImage.connect(address.endpoint, milliseconds: NBDImage.openMilliseconds)
    let export = connection.export
    connection.disconnect(milliseconds: 1000)
    var options = Options()
    options.isReadOnly = true
    let geometry = try NBDGeometry(export, options)
    var description = ImageDescription(
      path: uri, format: .raw, kind: .nbd, diskByteCount: geometry.byteCount, fileByteCount: export.byteCount,
      storedByteCount: export.byteCount, sectorByteCount: geometry.sectorByteCount,
      physicalSectorByteCount: geometry.physicalSectorByteCount)
    description.features = features(export)
    return description
  }

  private static func features(_ export: NBDExport) -> [String] {
    [
      (export.isReadOnly ? "read-only" : "writable", true), ("TLS", export.isEncrypted), ("flush", export.canFlush),
      ("FUA", export.canForceUnitAccess), ("trim", export.canTrim), ("zeros", export.canZero),
      ("block status", export.canBlockStatus), ("several connections", export.canMultiConnection),
      ("rotational", export.isRotational),
      ("blocks of \(export.minimumBlockByteCount) bytes", export.minimumBlockByteCount > 1),
      ("at most \(export.maximumPayloadByteCount) bytes at once", export.maximumPayloadByteCount > 0),
    ].filter(\.1).map(\.0)
  }
}
