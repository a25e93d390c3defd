import VMBusProtocol

/// The device classes with their canonical text and wire bytes.
let deviceClasses: [(GUID, String, String)] = [
  (.network, "f8615163-df3e-46c5-913f-f2d2f965ed0e", "635161f83edfc546913ff2d2f965ed0e"),
  (.scsi, "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", "d96361baa104294db60572e2ffb1dc7f"),
  (.ide, "32412632-86cb-44a2-9b5c-50d1417354f5", "32264132cb86a2449b5c50d1417354f5"),
  (.fibreChannel, "2f9bcc4a-0069-4af3-b76b-6fd0be528cda", "4acc9b2f6900f34ab76b6fd0be528cda"),
  (.pciPassThrough, "44c4f61d-4444-4400-9d52-802e27ede19f", "1df6c444444400449d52802e27ede19f"),
  (.networkDirect, "8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501", "3daf2e8ca732094bab99bd1f1c86b501"),
  (.video, "da0a7802-e377-4aac-8e77-0558eb1073f8", "02780ada77e3ac4a8e770558eb1073f8"),
  (.keyboard, "f912ad6d-2b17-48ea-bd65-f927a61c7684", "6dad12f9172bea48bd65f927a61c7684"),
  (.mouse, "cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a", "9eb6a8cf4a5bc04cb98b8ba1a1f3f95a"),
  (.shutdown, "0e0b6031-5213-4934-818b-38d90ced39db", "31600b0e13523449818b38d90ced39db"),
  (.timeSync, "9527e630-d0ae-497b-adce-e80ab0175caf", "30e62795aed07b49adcee80ab0175caf"),
  (.heartbeat, "57164f39-9115-4e78-ab55-382f3bd5422d", "394f16571591784eab55382f3bd5422d"),
  (.keyValuePair, "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6", "e7f4a0a9455a964db8278a841e8c03e6"),
  (.backup, "35fa2e29-ea23-4236-96ae-3a6ebacba440", "292efa3523ea364296ae3a6ebacba440"),
  (.fileCopy, "34d14be3-dee4-41c8-9ae7-6b174977c192", "e34bd134e4dec8419ae76b174977c192"),
  (.dynamicMemory, "525074dc-8985-46e2-8057-a307dc18a502", "dc7450528589e2468057a307dc18a502"),
  (.remoteDesktop, "276aacf4-ac15-426c-98dd-7521ad3f01fe", "f4ac6a2715ac6c4298dd7521ad3f01fe"),
  (.activation, "f8e65716-3cb3-4a06-9a60-1889c5cccab5", "1657e6f8b33c064a9a601889c5cccab5"),
  (.inheritedActivation, "3375baf4-9e15-4b30-b765-67acb10d607b", "f4ba7533159e304bb76567acb10d607b"),
  (.initialMachineConfiguration, "c376c1c3-d276-48d2-90a9-c04748072c60", "c3c176c376d2d24890a9c04748072c60"),
  (.uart, "8b60ccf6-709f-4c11-90b5-229c959a9e6a", "f6cc608b9f70114c90b5229c959a9e6a"),
  (.guestEmulation, "8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0", "aad1ed8d5690e449bfd61bf90dc38ef0"),
]
