public import Ethernet
import NetvscProtocol

/// How a NIC of the bus is to be used.
public struct NetvscOptions: Sendable {
  /// The MTU that is asked for: bytes of payload without the Ethernet header, 1500...9202. The host may give less.
  public var mtu = 1500
  /// The most queues: the primary channel and sub-channels. The host may give fewer. All of them get frames, so each
  /// needs an owner.
  public var queueCount = 4
  /// The length of each ring in bytes, control page included.
  public var ringByteCount = 512 * 1024
  /// The length of the receive buffer in bytes; hosts take 15 MiB up to NVSP 2, else 31 MiB.
  public var receiveBufferByteCount = 8 << 20
  /// The length of the send buffer in bytes for each queue; 15 MiB for all at most.
  public var sendBufferByteCount = 1 << 20
  /// How many frames of a queue that exceed a section of the send buffer may be on their way; each takes 64 KiB.
  public var longFrameCount = 32
  /// How long the host may take for a step of the initialization or a control request.
  public var stepMilliseconds = 10_000
  /// Whether the host may coalesce received TCP segments.
  public var coalesces = true
  /// The address that the NIC is to have; nil for the one that the host gave it.
  public var address: MACAddress?

  /// The usual values.
  public init() {}

  /// These options with every value in its possible range.
  var clamped: NetvscOptions {
    var options = self
    options.mtu = min(max(1500, mtu), Int(NVSPConfiguration.frameByteCounts.upperBound) - FrameHeaders.networkOffset)
    options.queueCount = min(max(1, queueCount), 64)
    options.ringByteCount = min(max(16 * 1024, ringByteCount), 16 << 20) & ~4095
    options.receiveBufferByteCount = min(max(64 * 1024, receiveBufferByteCount), 31 << 20) & ~4095
    let limit = (15 << 20) / options.queueCount
    options.sendBufferByteCount = min(max(64 * 1024, sendBufferByteCount), limit) & ~4095
    options.longFrameCount = min(max(1, longFrameCount), 256)
    options.stepMilliseconds = max(1, stepMilliseconds)
    return options
  }
}
