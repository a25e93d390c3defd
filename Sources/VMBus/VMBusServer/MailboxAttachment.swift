import LinuxIO

/// An attachment that hears of its guest through the mailbox of the guest's control thread alone.
protocol MailboxAttachment: GuestAttachment {
  var mailbox: Mailbox<GuestCommand> { get }
  /// Why the connection is over; no messages of the guest are looked at any more then.
  var ending: String? { get set }
  /// A message of the guest has left the mailbox.
  func messageTaken()
}

extension MailboxAttachment {
  func messageTaken() {}

  /// Serves the guest until it or the server ends; answers why.
  func serve(_ control: GuestControl) -> String {
    var isReleasing = false
    while true {
      _ = waitForInput([mailbox.descriptor], milliseconds: -1)
      for command in mailbox.take() {
        switch command {
        case .stop(let why): ending = ending ?? why
        case .message:
          messageTaken()
          if ending == nil { control.perform(command) }
        default: control.perform(command)
        }
      }
      if let ending {
        if !isReleasing {
          isReleasing = true
          control.end()
        }
        if control.isIdle { return ending }
      }
    }
  }
}
