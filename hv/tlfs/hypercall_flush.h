// Parameters of the calls that act on sets of virtual processors: address-space flushes, cluster
// IPIs, spin hints (TLFS "Virtual MMU", "Virtual Interrupt Control", "Scheduler").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hv {

struct FlushFlags {
  static constexpr std::uint64_t kAllProcessors = 1u << 0;
  static constexpr std::uint64_t kAllAddressSpaces = 1u << 1;
  static constexpr std::uint64_t kNonGlobalOnly = 1u << 2;
  static constexpr std::uint64_t kExtendedRanges = 1u << 3;
  static constexpr std::uint64_t kMask = 0xF;
};

/// FlushVirtualAddressSpace, and the header of FlushVirtualAddressList (elements GvaRange).
struct FlushVirtualAddressSpaceInput {
  std::uint64_t address_space = 0;
  std::uint64_t flags = 0;
  std::uint64_t processor_mask = 0;
};
static_assert(sizeof(FlushVirtualAddressSpaceInput) == 24);

/// A set of virtual processors: the fixed part, followed by one qword for each bit of the bank mask
/// in ascending order (bank = VP index / 64). These qwords are the call's variable header.
struct VpSet {
  static constexpr std::uint64_t kFormatSparse = 0;
  static constexpr std::uint64_t kFormatAll = 1;
  std::uint64_t format = 0;
  std::uint64_t valid_bank_mask = 0;
};
static_assert(sizeof(VpSet) == 16);

/// FlushVirtualAddressSpaceEx, and the header of FlushVirtualAddressListEx.
struct FlushVirtualAddressSpaceExInput {
  std::uint64_t address_space = 0;
  std::uint64_t flags = 0;
  VpSet processors;
};
static_assert(sizeof(FlushVirtualAddressSpaceExInput) == 32);
static_assert(offsetof(FlushVirtualAddressSpaceExInput, processors) == 16);

/// Pages of an address space: 63:12 the first page's number, 11:0 how many follow it.
struct GvaRange {
  std::uint64_t value = 0;
  [[nodiscard]] constexpr std::uint64_t first_address() const { return value & ~0xFFFull; }
  [[nodiscard]] constexpr std::uint64_t page_count() const { return (value & 0xFFF) + 1; }
};
static_assert(sizeof(GvaRange) == 8);

/// Fast: RDX and R8.
struct SendSyntheticClusterIpiInput {
  static constexpr std::uint32_t kMinVector = 0x10;
  static constexpr std::uint32_t kMaxVector = 0xFF;
  std::uint32_t vector = 0;
  std::uint8_t target_vtl = 0;
  std::array<std::uint8_t, 3> reserved{};
  std::uint64_t processor_mask = 0;
};
static_assert(sizeof(SendSyntheticClusterIpiInput) == 16);
static_assert(offsetof(SendSyntheticClusterIpiInput, processor_mask) == 8);

struct SendSyntheticClusterIpiExInput {
  std::uint32_t vector = 0;
  std::uint8_t target_vtl = 0;
  std::array<std::uint8_t, 3> reserved{};
  VpSet processors;
};
static_assert(sizeof(SendSyntheticClusterIpiExInput) == 24);

struct NotifyLongSpinWaitInput {
  std::uint32_t spin_count = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(NotifyLongSpinWaitInput) == 8);

}  // namespace hv
