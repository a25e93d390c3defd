/// One run of one job on one peer.
struct Sample: Encodable {
  /// IOPS, or MiB/s of a sequential job.
  var throughput: Double
  /// Latency from submission to completion in microseconds: median.
  var latencyMedian: Double
  /// The same: 99th percentile.
  var latency99: Double
  /// Processor time of the serving processes per I/O in microseconds.
  var processorPerIO: Double
  /// Context switches of the serving processes per I/O.
  var switchesPerIO: Double
  /// Signals to the other end of the bus per request, where the peer tells.
  var doorbellsPerRequest: Double?
  /// Resident memory of the serving processes at the end in MiB.
  var residentMiB: Double
  /// The shared part of it in MiB.
  var sharedMiB: Double
}

/// All samples of one job on one peer.
struct Series: Encodable {
  var cache: CacheMode
  var job: String
  var peer: Peer
  var samples: [Sample]

  /// The median of one figure.
  func median(_ value: (Sample) -> Double) -> Double { benchmark.median(samples.map(value)) }
}

/// What a peer costs when nothing happens, and how long it takes to be there.
struct Footprint: Encodable {
  var peer: Peer
  /// From the start of its processes to a file of the right size, in milliseconds, for a 10 GiB sparse image.
  var startMilliseconds: [Double]
  /// Processor time in 3 s without I/O after some load, in milliseconds.
  var idleMilliseconds: Double
  /// Context switches in these 3 s.
  var idleSwitches: Double
  /// Resident memory in MiB, highest of all runs.
  var residentMiB: Double
  /// The shared part of it in MiB.
  var sharedMiB: Double
}
