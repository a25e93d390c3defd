public import DiskImage
public import LinuxIO
public import TapLink

/// Why a synthetic host can't run, or can't be changed.
public enum SyntheticHostError: Error, Sendable, CustomStringConvertible {
  /// An image can't be served.
  case image(String, DiskImageError)
  /// The socket can't be listened at.
  case listen(String, Errno)
  /// An uplink can't be had, in words.
  case uplink(Uplink, String)
  /// The TAP of an uplink can't be had.
  case tap(String, TapError)
  /// The disks do not fit together.
  case controller(String)
  /// There is such a thing already.
  case exists(String)
  /// There is no such thing.
  case absent(String)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .image(let path, let error): "\(path): \(error)"
    case .listen(let path, let errno): "listening at \(path): \(errno)"
    case .uplink(let uplink, let text): "uplink \(uplink): \(text)"
    case .tap(let name, let error): "uplink tap:\(name): \(error)"
    case .controller(let text): text
    case .exists(let what): "there is \(what) already"
    case .absent(let what): "there is no \(what)"
    }
  }
}
