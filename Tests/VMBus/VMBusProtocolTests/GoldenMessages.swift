import Testing
import VMBusProtocol

/// The messages V01 to V32 as values, beside their bytes.
struct GoldenMessage: Sendable, CustomTestStringConvertible {
  let name: String
  let message: Message
  let bytes: [UInt8]
  var testDescription: String { name }

  init(_ name: String, _ message: Message, _ bytes: [UInt8]) {
    self.name = name
    self.message = message
    self.bytes = bytes
  }

  private static let pages = MonitorPageAddresses(parentToChild: 0x11000, childToParent: 0x12000)
  private static let client = GUID("00112233-4455-6677-8899-aabbccddeeff")!
  private static let nic = GUID("01234567-89ab-cdef-0123-456789abcdef")!
  private static let endpoint = GUID("11111111-2222-3333-4444-555555555555")!
  private static let service = GUID.socketService(port: 1024)

  static let all: [GoldenMessage] = connection + offers + gpadls + channels

  private static let connection: [GoldenMessage] = [
    .init(
      "V01",
      .initiateContact(InitiateContact(version: .v4_0, interruptPage: 0x10000, monitorPages: pages)), Golden.v01),
    .init("V02", .initiateContact(InitiateContact(version: .v5_3, monitorPages: pages)), Golden.v02),
    .init(
      "V03",
      .initiateContact(
        InitiateContact(version: .v6_0, targetVP: 3, features: FeatureFlags(rawValue: 0x2f), clientID: client)),
      Golden.v03),
    .init("V04", .versionResponse(.unsupported), Golden.v04),
    .init("V05", .versionResponse(.accepted(.v4_0, messageConnectionID: 0x24)), Golden.v05),
    .init("V06", .versionResponse(.accepted(.v5_3, messageConnectionID: 0x24)), Golden.v06),
    .init(
      "V07",
      .versionResponse(.accepted(.v6_0, messageConnectionID: 0x24, features: FeatureFlags(rawValue: 0x26))),
      Golden.v07),
    .init("V08", .versionResponse(.failed()), Golden.v08),
    .init("V31", .unload, Golden.v31),
    .init("V32", .unloadComplete, Golden.v32),
  ]

  private static let offers: [GoldenMessage] = [
    .init("V09", .requestOffers, Golden.v09),
    .init("V10", .allOffersDelivered, Golden.v10),
    .init(
      "V11",
      .offer(
        ChannelOffer(
          interfaceClass: .network, instance: nic, flags: .enumerateDeviceInterface, relid: 5, monitorID: 2,
          connectionID: 0x2005)), Golden.v11),
    .init(
      "V12",
      .offer(
        ChannelOffer(
          interfaceClass: service, instance: endpoint, flags: [.socket, .namedPipe],
          userDefined: SocketOffer(isGuestAccept: true).userDefined, relid: 9, connectionID: 0x2009)), Golden.v12),
    .init("V13", .rescind(relid: 5), Golden.v13),
    .init("V14", .relidReleased(relid: 5), Golden.v14),
  ]

  private static let gpadls: [GoldenMessage] = [
    .init(
      "V15",
      .gpadlHeader(
        GPADLHeader(
          relid: 5, gpadl: 0xe1e10, rangeByteCount: 32, rangeCount: 1, words: [0x3000, 0x100, 0x101, 0x102])),
      Golden.v15),
    .init(
      "V16",
      .gpadlHeader(
        GPADLHeader(
          relid: 5, gpadl: 0xe1e11, rangeByteCount: 0x148, rangeCount: 1, words: [0x28000] + (0x200...0x219))),
      Golden.v16),
    .init("V17", .gpadlBody(GPADLBody(gpadl: 0xe1e11, words: Array(0x21a...0x227))), Golden.v17),
    .init(
      "V18",
      .gpadlHeader(
        GPADLHeader(
          relid: 5, gpadl: 0xe1e12, rangeByteCount: 48, rangeCount: 2,
          words: [0x800_0000_1800, 0x300, 0x301, 0xff8_0000_0010, 0x400, 0x7ff])), Golden.v18),
    .init("V19", .gpadlCreated(relid: 5, gpadl: 0xe1e10, status: .success), Golden.v19),
    .init("V20", .gpadlCreated(relid: 5, gpadl: 0xe1e12, status: .unspecifiedFailure), Golden.v20),
    .init("V21", .gpadlTeardown(relid: 5, gpadl: 0xe1e10), Golden.v21),
    .init("V22", .gpadlTorndown(gpadl: 0xe1e10), Golden.v22),
  ]

  private static let channels: [GoldenMessage] = [
    .init(
      "V23",
      .openChannel(
        OpenChannel(relid: 5, openID: 5, ringGPADL: 0xe1e11, targetVP: 1, downstreamPageOffset: 20)), Golden.v23),
    .init(
      "V24",
      .openChannel(
        OpenChannel(
          relid: 5, openID: 5, ringGPADL: 0xe1e11, targetVP: 1, downstreamPageOffset: 20,
          signalling: .init(connectionID: 0x2005, eventFlag: 5))), Golden.v24),
    .init("V25", .openChannelResult(relid: 5, openID: 5, status: .success), Golden.v25),
    .init("V26", .closeChannel(relid: 5), Golden.v26),
    .init("V27", .modifyChannel(relid: 5, targetVP: 2), Golden.v27),
    .init("V28", .modifyChannelResponse(relid: 5, status: .success), Golden.v28),
    .init("V29", .tlConnect(TLConnect(endpoint: endpoint, service: service)), Golden.v29),
    .init(
      "V30", .tlConnectResult(endpoint: endpoint, service: service, status: .connectionRefused), Golden.v30),
  ]

  /// Messages without a vector of their own: the rest of the 29 types, and the long forms.
  static let others: [Message] = [
    .openReservedChannel(
      OpenReservedChannel(relid: 1, targetVP: 2, sint: 3, ringGPADL: 4, downstreamPageOffset: 5)),
    .closeReservedChannel(relid: 1, targetVP: 2, sint: 3),
    .closeReservedResponse(relid: 7),
    .tlConnect(TLConnect(endpoint: endpoint, service: service, silo: client)),
    .modifyConnection(pages),
    .modifyConnectionResponse(state: .lowResources),
    .pause, .pauseResponse, .resume,
    .unknown(MessageType(rawValue: 30)),
    .versionResponse(VersionResponse(isSupported: true, selection: nil)),
    .versionResponse(
      .accepted(.v6_0, messageConnectionID: 4, features: [.serverMonitorPages], monitorPages: pages)),
  ]
}
