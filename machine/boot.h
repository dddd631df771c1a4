// What a machine tells the hypervisor when it starts it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/address.h"

namespace machine {

inline constexpr std::size_t kMaxMemoryRanges = 16;
inline constexpr std::size_t kMaxBootModules = 8;

/// A range of RAM that nothing uses yet: page aligned, in ascending order, not overlapping. The
/// hypervisor's own program and arena are not in any range; boot modules are.
struct MemoryRange {
  std::uint64_t base = 0;
  std::uint64_t size_bytes = 0;
};

/// A file that was loaded beside the hypervisor: "root" and "child" images, "parameters" text.
struct BootModule {
  std::uint64_t base = 0;
  std::uint64_t size_bytes = 0;
  std::array<char, 32> name{};
};

struct BootInformation {
  std::uint32_t logical_processor_count = 0;
  std::uint32_t memory_range_count = 0;
  std::uint32_t module_count = 0;
  std::uint64_t tsc_frequency_hz = 0;
  /// x2APIC id of each logical processor.
  std::span<const std::uint32_t> apic_ids;
  std::array<MemoryRange, kMaxMemoryRanges> memory_ranges{};
  std::array<BootModule, kMaxBootModules> modules{};
};

/// The hypervisor's entry: the machine calls it on every logical processor, in VMX-capable 64-bit
/// mode (CR4.VMXE set) with interrupts disabled, processor 0 first; the others may arrive at any
/// moment after processor 0 has entered. `information` stays readable. Does not return.
using HypervisorEntry = void (*)(const BootInformation& information,
                                 std::uint32_t logical_processor_index);

}  // namespace machine
