// The locks of the hypervisor, in the order in which a processor may take them.
//
// A processor that holds the management lock may wait until others have left their guests, because
// leaving needs no lock. Nobody holds a lock while waiting for a virtual processor to be put down.
#pragma once

#include "machine/spin_lock.h"

namespace hv {

/// Partitions: their directory, life cycle, properties, deposits, GPA spaces and VP tables. One
/// lock for all partitions, because memory moves between two of them in one step.
inline constexpr machine::LockRank kManagementRank{10};
/// Ports and connections of all partitions, and finding partitions and VPs on the way to a target.
/// Whoever adds or removes partitions, VPs or ports holds it, too.
inline constexpr machine::LockRank kCommunicationRank{20};
/// One partition's GPA space: to translate and use the result, or to change it. Never two at once.
inline constexpr machine::LockRank kGpaSpaceRank{30};
/// The counts of which pages children have mapped.
inline constexpr machine::LockRank kPageReferencesRank{35};
/// One virtual processor: its suspend state, SynIC, timers and local APIC. Never two at once.
inline constexpr machine::LockRank kVirtualProcessorRank{40};
/// Run queues, deadlines, and which VP is where.
inline constexpr machine::LockRank kSchedulerRank{50};

}  // namespace hv
