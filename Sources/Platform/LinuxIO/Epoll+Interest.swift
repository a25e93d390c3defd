import CLinux

extension Epoll {
  /// Changes what a member of the set is watched for; hang-ups and errors are always reported.
  public func setInterest(_ descriptor: Int32, token: UInt64, readable: Bool, writable: Bool) {
    // SAFETY: the kernel copies the event during the call.
    var event = unsafe epoll_event()
    unsafe event.events = (readable ? EPOLLIN.rawValue : 0) | (writable ? EPOLLOUT.rawValue : 0)
    unsafe event.data.u64 = token
    _ = unsafe epoll_ctl(self.descriptor, EPOLL_CTL_MOD, descriptor, &event)
  }
}
