import LinuxIO
import VMBusChannel

/// The device node of a UIO device.
enum UIONode {
  /// The path of a node that stands for `uio`, waiting for udev to make it; where nobody does, it is made here.
  ///
  /// - Throws: `.system` when it can't be made, or something else stands at its place.
  static func path(
    of uio: SysfsUIO, in directory: String, milliseconds: Int = 500
  ) throws(ChannelError) -> String {
    let path = "\(directory)/\(uio.name)"
    let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    while true {
      do throws(Errno) {
        let found = try DeviceNumber.ofCharacterDevice(path)
        guard found == uio.number else { throw .ENODEV }
        return path
      } catch {
        guard error == .ENOENT, monotonicNanoseconds() < deadline else {
          if error == .ENOENT { break }
          throw .system(what: "\(path) is not the device node of \(uio.name)", error)
        }
      }
      sleepThread(nanoseconds: 5_000_000)
    }
    do throws(Errno) {
      try uio.number.makeCharacterDevice(at: path)
      guard try DeviceNumber.ofCharacterDevice(path) == uio.number else { throw .ENODEV }
    } catch {
      throw .system(what: "making the device node \(path)", error)
    }
    return path
  }
}
