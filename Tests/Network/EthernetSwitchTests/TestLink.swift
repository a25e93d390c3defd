import Ethernet
import EthernetSwitch
import Glibc
import LinuxIO
import Synchronization
import Testing
import WireBytes

/// A TAP in a network namespace of its own, with a thread that is the cable between it and a port of a switch.
final class TestLink: Sendable {
  /// The name of the link, and of the namespace.
  let name: String
  private let tap: Int32
  private let stopEvent: EventFD
  private let thread: WorkerThread

  private static let counter = Atomic<Int>(0)

  init(_ ethernetSwitch: EthernetSwitch) throws {
    let number = TestLink.counter.add(1, ordering: .relaxed).newValue
    name = "sw\(getpid() % 10_000_000)x\(number)"
    tap = try TestLink.openTAP(name)
    stopEvent = try EventFD()
    let port = try ethernetSwitch.makePort(address: .zero)
    thread = try WorkerThread(name: "test link") { [tap, stopEvent] in
      TestLink.pump(tap, port, stopEvent)
    }
    for command in ["ip netns add \(name)", "ip link set \(name) netns \(name)"] {
      let result = shell(command)
      if result.code != 0 { throw EthernetError.peer("\(command): \(result.output)") }
    }
    for command in ["ip link set lo up", "ip link set \(name) up"] { _ = run(command) }
  }

  /// Removes all that was made.
  func close() {
    stopEvent.signal()
    thread.join()
    _ = Glibc.close(tap)
    _ = shell("ip netns del \(name)")
  }

  /// Runs a command of a shell inside of the namespace.
  func run(_ command: String) -> (code: Int32, output: String) {
    let quoted = command.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
    return shell("ip netns exec \(name) sh -c '\(quoted)'")
  }

  private static func openTAP(_ name: String) throws -> Int32 {
    let tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
    guard tap >= 0 else { throw Errno(rawValue: errno) }
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<name.utf8.count, with: name.utf8)
    // IFF_TAP, IFF_NO_PI, IFF_VNET_HDR: checksums come as partial, and TCP uncut, as they do for a gateway.
    request[16] = 0x02
    request[17] = 0x50
    let made = ioctl(tap, 0x4004_54ca, &request)
    let offered = made == 0 ? ioctl(tap, 0x4004_54d0, 0x7) : -1
    guard offered == 0 else {
      let error = Errno(rawValue: errno)
      _ = Glibc.close(tap)
      throw error
    }
    return tap
  }

  private static func pump(_ tap: Int32, _ port: SwitchPort, _ stopEvent: EventFD) {
    guard let queue = try? port.makeQueue() else { return }
    var buffer = [UInt8](repeating: 0, count: 70_000)
    let nic = TestSink()
    while true {
      if waitForInput([stopEvent.descriptor], milliseconds: 0) != 0 { break }
      while true {
        let count = read(tap, &buffer, buffer.count)
        guard count > 10 else { break }
        let header = VirtioNetHeader(low: buffer.rawSpan.le64(at: 0), high: buffer.rawSpan.le16(at: 8))
        guard let offload = FrameOffload(header, frameByteCount: count - 10) else { continue }
        TestFrame(bytes: Array(buffer[10..<count]), offload: offload).send(to: queue)
      }
      queue.drain(to: nic)
      for frame in nic.frames {
        let bytes = [UInt8](repeating: 0, count: 10) + frame.bytes
        _ = write(tap, bytes, bytes.count)
      }
      nic.frames = []
      if queue.prepareToWait(forRoom: false) { continue }
      _ = waitForInput([tap, queue.readinessDescriptor, stopEvent.descriptor], milliseconds: -1)
    }
    queue.close()
  }
}

/// Runs a command of a shell; answers its exit code and what it printed.
func shell(_ command: String) -> (code: Int32, output: String) {
  do {
    let pipe = try LinePipe()
    let process = try ProcessHandle.start(
      ["/bin/sh", "-c", command], output: pipe.writer.number, error: pipe.writer.number)
    // A pipe holds 64 KiB, more than any of these commands prints.
    let code = process.exitCode()
    try pipe.reader.setNonBlocking()
    var output: [UInt8] = []
    while let part = try? readAvailable(pipe.reader.number), !part.isEmpty { output += part }
    return (code, String(decoding: output, as: UTF8.self))
  } catch {
    return (-1, "\(error)")
  }
}
