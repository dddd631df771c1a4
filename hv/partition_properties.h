// What a parent chose for its partition, as CreatePartition and the partition properties say it.
// Under the management lock; what CPUID shows is also read by the partition's processors, and
// changes only before there are any.
#pragma once

#include <cstdint>

#include "hv/hypervisor_limits.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/processor_features.h"

namespace hv {

struct PartitionProperties {
  std::uint32_t compatibility_version = kCompatibilityVersion21H2;

  // Shown by CPUID.
  ProcessorFeatureBanks disabled_features;
  std::uint64_t synthetic_features = SyntheticFeatures::kKnown;
  std::uint32_t processors_per_socket = kMaxVirtualProcessors;
  /// 0 until initialization, if the parent names none: as many as the hypervisor has.
  std::uint32_t physical_address_bits = 0;

  // Fractions of one logical processor for each virtual one.
  std::uint32_t cpu_reserve = 0;
  std::uint32_t cpu_cap = static_cast<std::uint32_t>(kCpuCapMax);

  std::uint32_t virtual_tlb_pages = static_cast<std::uint32_t>(kVirtualTlbPagesMin);
  std::uint32_t debug_channel = 0;
  bool time_frozen = false;
};

}  // namespace hv
