public import DiskImage
import LinuxIO

/// Tells about the image at `path` alone.
///
/// - Parameter what: what is being done, for the error.
public func inspectImage(
  _ path: String, format: DiskImage.Format, what: String
) throws(ImageToolError) -> ImageReport {
  ImageReport(try explaining(what) { () throws(DiskImageError) in try DiskImage.describe(path, format: format) })
}

/// Gives an image another capacity in bytes.
public func resizeImage(
  _ path: String, to byteCount: UInt64, mayShrink: Bool, format: DiskImage.Format
) throws(ImageToolError) {
  try explaining("resize \(path)") { () throws(DiskImageError) in
    try DiskImage.resize(path, to: byteCount, mayShrink: mayShrink, format: format)
  }
}

/// Writes what a differencing image has into its parent, and removes the image unless it is to be kept.
///
/// - Parameter progress: told of bytes; false ends the merge early.
/// - Returns: the path of the parent.
public func mergeImage(
  _ path: String, options: DiskImage.Options, isKept: Bool, progress: (UInt64, UInt64) -> Bool
) throws(ImageToolError) -> String {
  let parent = try explaining("merge \(path)") { () throws(DiskImageError) in
    try DiskImage.merge(path, options: options, progress: progress)
  }
  if !isKept {
    do throws(Errno) { try removeFile(path) } catch {
      throw ImageToolError(
        .failed, what: "merge \(path)", why: "it is merged into \(parent), but can't be removed: \(error)")
    }
  }
  return parent
}
