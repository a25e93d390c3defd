import KVM
import Testing

@testable import VirtualMachine

@Suite struct CPUIDTests {
  private let supported: [CPUIDLeaf] = [
    CPUIDLeaf(0, eax: 0x16), CPUIDLeaf(1, ebx: 0x0100_0800, ecx: 0, edx: 0), CPUIDLeaf(0xB, edx: 99),
    CPUIDLeaf(0x4000_0000, eax: 0x4000_0001, ebx: 0x4B4D_564B), CPUIDLeaf(0x4000_0001, eax: 0xFFFF),
    CPUIDLeaf(0x8000_0000, eax: 0x8000_0008),
  ]

  @Test func hyperVReplacesKVM() throws {
    let leaves = CPUIDProfile.leaves(supported: supported, processor: 0, of: 1)
    let vendor = try #require(leaves.first { $0.function == 0x4000_0000 })
    // "Microsoft Hv"
    #expect((vendor.ebx, vendor.ecx, vendor.edx) == (0x7263_694D, 0x666F_736F, 0x7648_2074))
    #expect(leaves.filter { $0.function == 0x4000_0001 }.map(\.eax) == [0x3123_7648])
    #expect(vendor.eax == leaves.map(\.function).filter { $0 >= 0x4000_0000 && $0 < 0x5000_0000 }.max())
    #expect(leaves.contains(CPUIDLeaf(0x8000_0000, eax: 0x8000_0008)))
    let features = try #require(leaves.first { $0.function == 0x4000_0003 })
    // Hypercalls and processor numbers: Linux wants both. No creation of partitions, or the guest thinks it is the root.
    #expect(features.eax & 0x60 == 0x60 && features.ebx & 1 == 0 && features.ebx & 0x30 == 0x30)
  }

  @Test func processorsHaveNumbers() throws {
    let leaves = CPUIDProfile.leaves(supported: supported, processor: 3, of: 4)
    let leaf = try #require(leaves.first { $0.function == 1 })
    #expect(leaf.ebx == 0x0304_0800)
    #expect(leaf.ecx >> 31 == 1 && leaf.edx >> 28 & 1 == 1)
    #expect(leaves.first { $0.function == 0xB }?.edx == 3)
    let single = CPUIDProfile.leaves(supported: supported, processor: 0, of: 1)
    #expect(single.first { $0.function == 1 }?.edx == 0)
  }
}
