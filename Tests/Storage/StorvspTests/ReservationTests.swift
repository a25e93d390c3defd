import Block
import SCSI
import StorvscProtocol
@testable import Storvsp
import Testing
import WireBytes

@Suite struct ReservationTests {
  let controller: SCSIController
  let a: TestGuest
  let b: TestGuest

  init() throws {
    controller = try .with(TestDisk(byteCount: 1 << 20))
    a = try TestGuest(controller, id: 1)
    b = try TestGuest(controller, id: 2)
    a.start()
    b.start()
  }

  private let read: [UInt8] = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0]
  private let write: [UInt8] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0]
  private let ready: [UInt8] = [0, 0, 0, 0, 0, 0]

  private func mayRead(_ guest: TestGuest) -> Bool { guest.run(read, in: 512).isGood }
  private func mayWrite(_ guest: TestGuest) -> Bool {
    guest.run(write, out: [UInt8](repeating: 1, count: 512)).isGood
  }

  /// PERSISTENT RESERVE OUT.
  @discardableResult
  private func out(
    _ guest: TestGuest, _ action: UInt8, type: UInt8 = 0, key: UInt64 = 0, newKey: UInt64 = 0, flags: UInt8 = 0,
    length: UInt8 = 24
  ) -> TestGuest.Result {
    var list = [UInt8](zeroed: Int(length)) { bytes in
      if length >= 16 {
        bytes.storeBE(key, at: 0)
        bytes.storeBE(newKey, at: 8)
      }
    }
    if length > 20 { list[20] = flags }
    return guest.run([0x5f, action, type, 0, 0, 0, 0, 0, length, 0], out: list)
  }

  private func keys(_ guest: TestGuest) throws -> ReservationKeys {
    try ReservationKeys(parsing: guest.run([0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0], in: 256).data.rawSpan)
  }

  private func held(_ guest: TestGuest) throws -> ReservationReport.Reservation? {
    try ReservationReport(parsing: guest.run([0x5e, 1, 0, 0, 0, 0, 0, 1, 0, 0], in: 256).data.rawSpan).reservation
  }

  private func isConflict(_ result: TestGuest.Result) -> Bool {
    result.completion.srbStatus == .error && result.completion.scsiStatus == .reservationConflict
      && result.header == .ioDeviceError && result.completion.dataTransferByteCount == 0 && result.sense == nil
  }

  @Test func reserve6() {
    #expect(a.run([0x16, 0, 0, 0, 0, 0]).isGood)
    #expect(a.run([0x16, 0, 0, 0, 0, 0]).isGood)
    #expect(isConflict(b.run([0x16, 0, 0, 0, 0, 0])))
    #expect(isConflict(b.run(read, in: 512)) && isConflict(b.run(write, out: [UInt8](repeating: 1, count: 512))))
    #expect(isConflict(b.run([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])))
    #expect(mayRead(a) && mayWrite(a))
    #expect(b.run(ready).isGood && b.run([0x12, 0, 0, 0, 36, 0], in: 36).isGood)
    // The release of another guest is none.
    #expect(b.run([0x17, 0, 0, 0, 0, 0]).isGood && !mayRead(b))
    #expect(isConflict(out(b, 0, newKey: 5)))
    #expect(a.run([0x17, 0, 0, 0, 0, 0]).isGood)
    #expect(mayRead(b) && mayWrite(b))
    // It ends with the session.
    #expect(a.run([0x16, 0, 0, 0, 0, 0]).isGood && !mayWrite(b))
    a.primary.endpoint.close()
    a.session.end()
    #expect(mayWrite(b))
  }

  @Test func registration() throws {
    #expect(isConflict(out(a, 0, key: 1, newKey: 5)))
    #expect(out(a, 0, newKey: 5).isGood)
    #expect(isConflict(out(a, 0, key: 4, newKey: 6)))
    #expect(out(a, 0, key: 5, newKey: 6).isGood)
    #expect(out(b, 6, key: 99, newKey: 7).isGood)
    let list = try keys(b)
    #expect(list.keys == [6, 7] && list.generation == 3)
    #expect(out(a, 0, key: 6, newKey: 0).isGood)
    #expect(try keys(b).keys == [7])
    // Truncated: the length tells the whole.
    let short = b.run([0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0], in: 8)
    #expect(short.data == [0, 0, 0, 4, 0, 0, 0, 8])
    // RESERVE(6) has no place beside registrations.
    #expect(isConflict(a.run([0x16, 0, 0, 0, 0, 0])) && isConflict(a.run([0x17, 0, 0, 0, 0, 0])))
  }

  /// What each type forbids: to a registered guest, and to one that is not.
  @Test(
    arguments: [
      (1, [true, false], [true, false]), (3, [false, false], [false, false]), (5, [true, true], [true, false]),
      (6, [true, true], [false, false]), (7, [true, true], [true, false]), (8, [true, true], [false, false]),
    ] as [(UInt8, [Bool], [Bool])])
  func types(_ type: UInt8, _ registered: [Bool], _ other: [Bool]) throws {
    #expect(out(a, 0, newKey: 5).isGood && out(a, 1, type: type, key: 5).isGood)
    #expect(mayRead(a) && mayWrite(a))
    #expect([mayRead(b), mayWrite(b)] == other)
    #expect(b.run(ready).isGood)
    #expect(out(b, 0, newKey: 7).isGood)
    #expect([mayRead(b), mayWrite(b)] == registered)
    #expect(try held(b)?.key == (type >= 7 ? 0 : 5))
    #expect(try held(b)?.type.rawValue == type)
    let again = out(b, 1, type: type, key: 7)
    #expect(type >= 7 ? again.isGood : isConflict(again))
    // The end of the reservation: registrants who had a part in it learn of it once.
    #expect(out(a, 2, type: type == 1 ? 3 : 1, key: 5).sense == SenseData(.illegalRequest, 0x26, 0x04))
    #expect(out(a, 2, type: type, key: 5).isGood)
    if type >= 5 { #expect(b.run(ready).sense == SenseData(.unitAttention, 0x2a, 0x04)) }
    #expect(mayRead(b) && mayWrite(b))
    #expect(try held(b) == nil)
  }

  @Test func preemption() throws {
    out(a, 0, newKey: 5)
    out(b, 0, newKey: 7)
    out(a, 1, type: 1, key: 5)
    #expect(!mayWrite(b))
    #expect(isConflict(out(b, 4, type: 3, key: 8, newKey: 5)))
    #expect(isConflict(out(b, 4, type: 3, key: 7, newKey: 99)))
    #expect(out(b, 4, type: 3, key: 7, newKey: 0).sense == .invalidFieldInParameterList)
    #expect(out(b, 4, type: 3, key: 7, newKey: 5).isGood)
    #expect(try held(b) == .init(key: 7, type: .exclusiveAccess))
    #expect(try keys(b).keys == [7])
    #expect(a.run(ready).sense == .registrationsPreempted)
    #expect(!mayRead(a) && mayWrite(b))
    out(a, 0, newKey: 5)
    #expect(out(b, 3, key: 7).isGood)
    #expect(a.run(ready).sense == .reservationsPreempted)
    #expect(mayWrite(a) && mayWrite(b))
    #expect(try keys(b).keys.isEmpty)
    // All registrants: key 0 names all of them.
    out(a, 0, newKey: 5)
    out(b, 0, newKey: 7)
    out(a, 1, type: 8, key: 5)
    #expect(out(b, 5, type: 1, key: 7, newKey: 0).isGood)
    #expect(try keys(b).keys == [7])
    #expect(try held(b) == .init(key: 7, type: .writeExclusive))
    #expect(a.run(ready).sense == .registrationsPreempted)
  }

  @Test func holderLeaves() throws {
    out(a, 0, newKey: 5)
    out(b, 0, newKey: 7)
    out(a, 1, type: 5, key: 5)
    // Persistent: it outlives the session.
    a.primary.endpoint.close()
    a.session.end()
    #expect(try held(b)?.key == 5)
    let back = try TestGuest(controller, id: 1)
    back.start()
    #expect(mayWrite(back))
    #expect(out(back, 0, key: 5, newKey: 0).isGood)
    #expect(b.run(ready).sense == SenseData(.unitAttention, 0x2a, 0x04))
    #expect(try held(b) == nil)
  }

  @Test func refusals() {
    #expect(out(a, 0, newKey: 5, length: 23).sense == .parameterListLengthError)
    #expect(out(a, 0, newKey: 5, length: 25).sense == .parameterListLengthError)
    #expect(out(a, 0, newKey: 5, flags: 8).sense == .invalidFieldInParameterList)
    #expect(out(a, 0, newKey: 5, flags: 1).sense == .invalidFieldInParameterList)
    #expect(out(a, 0, newKey: 5, flags: 4).isGood)
    #expect(out(a, 1, type: 0x11, key: 5).sense == .invalidFieldInCDB)
    for type in [0, 2, 4, 9, 15] as [UInt8] { #expect(out(a, 1, type: type, key: 5).sense == .invalidFieldInCDB) }
    #expect(out(a, 7, key: 5).sense == .invalidFieldInCDB)
    #expect(out(a, 8, key: 5).sense == .invalidFieldInCDB)
    #expect(a.run([0x5e, 3, 0, 0, 0, 0, 0, 1, 0, 0], in: 256).sense == .invalidFieldInCDB)
    #expect(a.run([0x5e, 2, 0, 0, 0, 0, 0, 1, 0, 0], in: 256).data == [0, 8, 4, 0x80, 0xea, 1, 0, 0])
  }
}
