// The one thing that is wanted of ACPI at boot: which processors there are (MADT).
#pragma once

#include <array>
#include <cstdint>

#include "metal/hypervisor/processor_state.h"

namespace metal {

struct ProcessorList {
  std::uint32_t count = 0;
  /// Local APIC ids, in the order of the table.
  std::array<std::uint32_t, kMaxLogicalProcessors> apic_ids{};
};

/// Enabled processors of the MADT that `root_pointer` (RSDP, ACPI 5.2.5) leads to; empty if there
/// is none or its tables do not add up.
[[nodiscard]] ProcessorList read_processor_list(std::uint64_t root_pointer);

}  // namespace metal
