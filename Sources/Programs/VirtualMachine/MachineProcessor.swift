import KVM
import LinuxIO
import SharedMemory
import VMBusChannel
import VMBusProtocol
import VMBusServer

/// Runs one processor of a machine: answers its exits until the machine stops.
struct MachineProcessor: Sendable {
  let processor: VirtualProcessor
  let gate: ProcessorGate
  let ports: PortSpace
  let memory: GuestMemory
  let guest: HypervisorGuest
  let end: MachineEnd

  /// Until the machine ends, on the calling thread.
  func run() {
    do throws(KVMError) {
      try processor.claimThread()
      while !end.isDecided {
        gate.enter()
        let exit: ProcessorExit
        do throws(KVMError) {
          exit = try processor.run()
        } catch {
          gate.leave()
          throw error
        }
        gate.leave()
        handle(exit)
      }
    } catch {
      end.decide(.failed("\(error)"))
    }
  }

  private func handle(_ exit: ProcessorExit) {
    switch exit {
    case .interrupted: break
    case .port(let port, let size, let count, let isWrite): access(port, size: size, count: count, isWrite: isWrite)
    case .memoryRead: processor.answerMemory(.max)
    case .memoryWrite(let address, let size, let value):
      guest.monitorPageWritten(value, byteCount: size, at: address)
    case .synic(let control, let eventFlagPage, let messagePage):
      guest.setSynIC(
        vp: processor.index, control: control, eventFlagPage: eventFlagPage, messagePage: messagePage)
    case .hypercall(let input, let parameter, _):
      processor.answerHypercall(UInt64(hypercall(input, parameter).rawValue))
    case .shutdown: end.decide(.crashed("a triple fault"))
    case .event(.shutdown): end.decide(.poweredOff)
    case .event(.reset): end.decide(.reset)
    case .event(.crash): end.decide(.crashed("a panic"))
    case .other(let reason, let detail):
      end.decide(.failed("processor \(processor.index) can't go on (KVM exit \(reason), \(detail))"))
    }
  }

  private func access(_ port: UInt16, size: Int, count: Int, isWrite: Bool) {
    for index in 0..<count {
      guard isWrite else {
        processor.answerPort(index, ports.read(port, size: size))
        continue
      }
      switch ports.write(processor.portValue(index), to: port, size: size) {
      case .powerOff: end.decide(.poweredOff)
      case .reset: end.decide(.reset)
      case nil: break
      }
    }
  }

  private func hypercall(_ input: UInt64, _ parameter: UInt64) -> HypercallStatus {
    let isFast = input & 1 << 16 != 0
    switch UInt16(truncatingIfNeeded: input) {
    case HypercallCode.postMessage:
      guard !isFast, parameter % 8 == 0,
        let block = memory.slice(at: parameter, byteCount: PostMessageInput.byteCount)
      else { return .invalidInput }
      return guest.post(block.bytes())
    // What signals a channel does not come here: the kernel does it.
    case HypercallCode.signalEvent: return .invalidConnectionID
    default: return .invalidCode
    }
  }
}
