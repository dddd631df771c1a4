// The locks of the hypervisor, in the order in which a processor may take them. No lock is held
// while waiting for another processor to leave its guest or to put a virtual processor down.
#pragma once

#include "machine/spin_lock.h"

namespace hv {

/// Partitions: their directory, life cycle, properties, deposits, GPA spaces and VP tables. One
/// lock for all partitions, because memory moves between two of them in one step.
inline constexpr machine::LockRank kManagementRank{10};
/// Ports and connections of all partitions.
inline constexpr machine::LockRank kCommunicationRank{20};
/// One virtual processor: its suspend state, SynIC, timers and local APIC. Never two at once.
inline constexpr machine::LockRank kVirtualProcessorRank{30};
/// Run queues, deadlines, and which VP is where.
inline constexpr machine::LockRank kSchedulerRank{40};

}  // namespace hv
