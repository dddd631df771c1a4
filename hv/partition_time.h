// When a partition's reference time runs, and what its reference TSC page says then (TLFS
// "Partition Reference Counter").
#pragma once

#include <cstdint>

namespace hv {

class Hypervisor;
class Partition;

/// Stops the time or lets it go on, as it should be by now: it runs while at least one virtual
/// processor is not explicitly suspended, unless the parent froze it or suspended the partition.
/// After each change of these. No virtual processor of the partition runs, or it changed nothing
/// for those that do; one at a time, which a stop (Hypervisor::try_begin_stop) sees to. Takes the
/// communication lock.
void review_time(Hypervisor& hypervisor, Partition& partition);

/// While the time stands still.
void set_time(Partition& partition, std::uint64_t time_100ns);

}  // namespace hv
