// What partitions get of the logical processors: a weight, a reserve and a cap for each virtual
// processor. Under the management lock.
#pragma once

#include <cstdint>

#include "hv/processor/schedulable.h"

namespace hv {

class Hypervisor;
class Partition;

/// Whether all reserves together fit if `changed` has `vp_count` virtual processors with `reserve`
/// each, in fractions of 0x10000 of a logical processor.
[[nodiscard]] bool reserves_fit(Hypervisor& hypervisor, const Partition& changed,
                                std::uint64_t reserve, std::uint32_t vp_count);

/// What each virtual processor of the partition gets, by its properties.
[[nodiscard]] ProcessorShares shares_of(const Partition& partition);
/// Lets those that exist have it from now on. Takes the scheduler lock.
void apply_shares(Hypervisor& hypervisor, Partition& partition);

}  // namespace hv
