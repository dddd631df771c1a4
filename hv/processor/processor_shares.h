// What partitions are promised of the logical processors: a reserve for each virtual processor.
// Under the management lock.
#pragma once

#include <cstdint>

namespace hv {

class Hypervisor;
class Partition;

/// Whether all reserves together fit if `changed` has `vp_count` virtual processors with `reserve`
/// each, in fractions of 0x10000 of a logical processor.
[[nodiscard]] bool reserves_fit(Hypervisor& hypervisor, const Partition& changed,
                                std::uint64_t reserve, std::uint32_t vp_count);

}  // namespace hv
