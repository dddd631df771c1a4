// What CPUID answers in a guest: the processor's own leaves less what the hypervisor does not
// offer, and the hypervisor's leaves (TLFS "Feature and Interface Discovery"). It tells the truth:
// a feature is shown if, and only if, it works. Pure.
#pragma once

#include <cstdint>

#include "hv/hypervisor_limits.h"
#include "hv/tlfs/privileges.h"
#include "hv/tlfs/processor_features.h"
#include "machine/common.h"

namespace hv {

/// What the answers depend on.
struct CpuidSubject {
  PrivilegeMask privileges;
  std::uint64_t synthetic_features = SyntheticFeatures::kKnown;
  /// What the parent hides of the processor; null for nothing.
  const ProcessorFeatureBanks* disabled_features = nullptr;
  std::uint32_t apic_id = 0;
  std::uint32_t vp_count = 1;
  std::uint32_t processors_per_socket = kMaxVirtualProcessors;
  /// 0: as the processor has them.
  std::uint32_t physical_address_bits = 0;
  /// The local APIC: may become an x2APIC, and is not disabled.
  bool may_be_x2apic = true;
  bool has_apic = true;
  /// RDTSCP is enabled for guests.
  bool rdtscp = false;
  /// The partition may choose whether its TSC counts as invariant, and has not.
  bool hides_invariant_tsc = false;
  /// The guest has turned CR4.OSXSAVE on. Of consequence for leaf 1 alone.
  bool os_xsave = false;
  /// Extended state components that a guest may have, as bits of XCR0, and the size of an area for
  /// all of them.
  std::uint64_t extended_components = 0;
  std::uint32_t extended_area_bytes = 0;
};

inline constexpr std::uint32_t kCpuidProcessorFeatures = 1;
inline constexpr std::uint32_t kCpuidTopology = 0xB;

/// Whether the leaf is one of the hypervisor's own.
[[nodiscard]] constexpr bool is_hypervisor_leaf(std::uint32_t leaf) {
  return leaf >= 0x4000'0000 && leaf <= 0x400F'FFFF;
}

[[nodiscard]] machine::CpuidResult hypervisor_cpuid(const CpuidSubject& subject,
                                                    std::uint32_t leaf);

/// The answer for one of the processor's leaves, made from what the processor itself answers. A
/// partition's processors may differ in the APIC id, and in nothing else.
[[nodiscard]] machine::CpuidResult guest_cpuid(const CpuidSubject& subject, std::uint32_t leaf,
                                               std::uint32_t subleaf,
                                               const machine::CpuidResult& processor);

}  // namespace hv
