extension Aim {
  /// All aims that can be judged by what was measured.
  static func judge(_ series: [NetworkSeries], peers: [NetworkPeer]) -> [Aim] {
    var aims: [Aim] = []
    for job in NetworkJob.allCases {
      for peer in peers where peer.isOurs {
        switch job {
        case .ping: aims += atMost(peer == .embedded ? 1.1 : 1.5, series, peer, to: .forwarder, job)
        case .idle:
          if let value = series.of(peer, job)?.median({ $0.value }) {
            aims.append(.idle(peer.title, milliseconds: value))
          }
        case .datagrams, .datagramsReverse: aims += atLeast(0.8, series, peer, to: .forwarder, job)
        default:
          aims += atLeast(job.isParallel ? 1 : 0.8, series, peer, to: .forwarder, job)
          aims += atLeast(8, series, peer, to: .vde, job) + atLeast(8, series, peer, to: .testpmd, job)
        }
        // One stream alone leaves the ring empty now and then.
        if job.isUDP || job.isTCP && job.isParallel { aims += doorbells(series, peer, job) }
      }
    }
    return aims
  }

  private static func atLeast(
    _ limit: Double, _ series: [NetworkSeries], _ peer: NetworkPeer, to other: NetworkPeer, _ job: NetworkJob
  ) -> [Aim] {
    guard let ratio = series.ratio(peer, to: other, job) else { return [] }
    return [.ratio("\(peer.title) to \(other.title), \(job.rawValue)", ratio, atLeast: limit)]
  }

  private static func atMost(
    _ limit: Double, _ series: [NetworkSeries], _ peer: NetworkPeer, to other: NetworkPeer, _ job: NetworkJob
  ) -> [Aim] {
    guard let ratio = series.ratio(peer, to: other, job) else { return [] }
    return [.ratio("\(peer.title) to \(other.title), \(job.rawValue), median", ratio, atMost: limit)]
  }

  private static func doorbells(_ series: [NetworkSeries], _ peer: NetworkPeer, _ job: NetworkJob) -> [Aim] {
    guard let value = series.of(peer, job)?.median({ $0.doorbellsPerFrame }) else { return [] }
    return [
      Aim(
        what: "\(peer.title), doorbells per frame, \(job.rawValue)", wanted: "less than 1/16 = 0.0625",
        measured: fixed(value, 4), isMet: value < 1.0 / 16)
    ]
  }
}
