import LinuxIO
import Synchronization
import VMBusChannel

/// What other threads want of a control thread, in order; readable while something is in it.
final class Mailbox<Item: Sendable>: Sendable {
  private let items = Mutex<[Item]>([])
  private let event: EventFD

  init() throws(Errno) {
    event = try EventFD()
  }

  var descriptor: Int32 { event.descriptor }

  func post(_ item: Item) {
    items.withLock { $0.append(item) }
    event.signal()
  }

  func take() -> [Item] {
    event.drain()
    return items.withLock { items in
      let taken = items
      items = []
      return taken
    }
  }
}

/// What the control thread of a guest hears from other threads.
enum GuestCommand: Sendable {
  case add(DeviceKey, any HostDevice)
  case remove(DeviceKey)
  case offerSubChannels(DeviceKey, count: Int)
  /// No device has the list mapped any more.
  case withdrawn(GPADLKey)
  case opened(ChannelKey)
  case faulted(ChannelKey, ChannelError)
  case ended(ChannelKey, ChannelError?)
  /// A control message of an embedded guest.
  case message([UInt8], connectionID: UInt32)
  /// End the guest's connection.
  case stop(reason: String)
}
