import FoundationEssentials
import LinuxIO

extension RuntimeDirectory {
  /// Removes what the processes of links left behind that were killed. The links themselves have gone with them: a TAP
  /// vanishes with its last descriptor.
  func cleanUpStaleLinks() {
    for key in linkKeys() {
      if let record = LinkRecord.load(key, in: self) {
        if record.isAlive { continue }
        if let process = record.dhcpProcess, processStartTime(process) == record.dhcpProcessStart {
          try? ProcessHandle(id: process).send(signal: 15)
        }
      } else if !isAbandoned(linkDirectory(key)) {
        continue
      }
      removeLinkState(key)
    }
  }

  func removeLinkState(_ key: String) {
    _ = try? FileManager.default.removeItem(atPath: linkDirectory(key))
  }
}
