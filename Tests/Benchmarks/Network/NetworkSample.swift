/// One run of one job on one peer.
struct NetworkSample: Encodable {
  /// In the unit of the job.
  var value: Double
  /// 99th percentile of a round trip in microseconds.
  var roundTrip99: Double?
  /// Thousands of datagrams per second that came over the link, also those for which the receiver had no time.
  var arrived: Double?
  /// Part of the sent datagrams that no program received.
  var lostPart: Double?
  /// Processor time of the serving processes per MB, packet or ping in microseconds.
  var processorPerUnit: Double
  /// Context switches of the serving processes per MB, packet or ping.
  var switchesPerUnit: Double
  /// Doorbells towards the host per frame on the bus, where the peer tells.
  var doorbellsPerFrame: Double?
}

/// All samples of one job on one peer.
struct NetworkSeries: Encodable {
  var job: NetworkJob
  var peer: NetworkPeer
  var samples: [NetworkSample]

  /// The median of one figure; nil when no sample has it.
  func median(_ figure: (NetworkSample) -> Double?) -> Double? {
    let values = samples.compactMap(figure)
    return values.isEmpty ? nil : benchmark.median(values)
  }
}

extension [NetworkSeries] {
  /// What a peer has shown; nil when it was not measured.
  func of(_ peer: NetworkPeer, _ job: NetworkJob) -> NetworkSeries? {
    first { $0.peer == peer && $0.job == job }
  }

  /// The quotient of two medians.
  func ratio(_ peer: NetworkPeer, to other: NetworkPeer, _ job: NetworkJob) -> Double? {
    guard let mine = of(peer, job)?.median({ $0.value }), let theirs = of(other, job)?.median({ $0.value }), theirs > 0
    else { return nil }
    return mine / theirs
  }
}
