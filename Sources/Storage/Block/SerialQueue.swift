import LinuxIO
public import SharedMemory

/// A queue for one request after the other, which waits.
public final class SerialQueue {
  private let queue: any BlockQueue
  private var table = ScatterTable(capacity: 1)

  /// A queue of `device`.
  ///
  /// - Throws: what `makeQueue` throws.
  public init(_ device: any BlockDevice) throws(BlockError) {
    queue = try device.makeQueue(depth: 1)
  }

  /// Carries a request out and waits for its end.
  ///
  /// - Returns: the run of an `extent`.
  /// - Throws: the error that it ended with.
  @discardableResult
  public func perform(
    _ operation: BlockOperation, offset: UInt64 = 0, byteCount: UInt64 = 0, memory: MemorySlice? = nil,
    flags: BlockRequest.Flags = []
  ) throws(BlockError) -> BlockCompletion.Extent? {
    table.removeAll()
    if let memory { _ = table.append(memory) }
    queue.submit(
      BlockRequest(
        operation, tag: 0, offset: offset, byteCount: byteCount, memory: memory == nil ? nil : table.list, flags: flags)
    )
    queue.flushSubmissions()
    var found: BlockCompletion?
    while true {
      queue.reap { found = $0 }
      if let found {
        if let error = found.error { throw error }
        return found.extent
      }
      if !queue.prepareToWait() { _ = waitForInput([queue.readinessDescriptor], milliseconds: 1000) }
    }
  }

  /// Ends the queue.
  public func close() { queue.close() }
}
