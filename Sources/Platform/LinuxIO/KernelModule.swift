import CLinux

/// Loads a kernel module, or what has it for an alias, by modprobe(8); answers why that is not possible, nil when it is
/// there now.
@Sendable public func loadKernelModule(_ name: String) -> String? {
  let path: String? = ["/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe"].first { (path: String) in
    // SAFETY: a null-terminated text during the call.
    unsafe access(path, X_OK) == 0
  }
  guard let path else { return "there is no modprobe to load its module" }
  do throws(Errno) {
    let null = try OwnedDescriptor.open("/dev/null", flags: O_RDWR)
    let process = try ProcessHandle.start(
      [path, "-q", name], input: null.number, output: null.number, error: null.number)
    let code = process.exitCode()
    return code == 0 ? nil : "modprobe \(name) ended with code \(code)"
  } catch {
    return "modprobe can't be started: \(error)"
  }
}
