// What a partition and its virtual processors are made of, and how that is given back. The statuses
// are those of the calls; a call that fails has changed nothing. Under the management lock.
#pragma once

#include <cstdint>

#include "hv/tlfs/partition.h"
#include "hv/tlfs/status.h"

namespace hv {

class Hypervisor;
class MessageOwner;
class Partition;
class VirtualProcessor;

/// The most physical address bits that a partition can have: what the processor addresses, as far
/// as four levels of tables reach.
[[nodiscard]] std::uint32_t max_physical_address_bits();

/// Builds the GPA space from the partition's own pool: Uninitialized to Active.
/// kInsufficientMemory.
[[nodiscard]] Status initialize_partition(Hypervisor& hypervisor, Partition& partition);

/// Builds a virtual processor in its state after INIT, explicitly suspended. kInsufficientMemory.
/// The index is free. `pinned_lp` is where it runs, or kNoLp.
[[nodiscard]] Status create_vp(Hypervisor& hypervisor, Partition& partition, VpIndex index,
                               std::uint32_t pinned_lp);

/// For how many overlays a partition of so many VPs keeps records, its statistics pages included.
[[nodiscard]] std::uint32_t overlays_to_reserve(const Partition& partition, std::uint32_t vp_count);

/// Returns everything a stopped virtual processor is made of to the pool.
void delete_vp(Hypervisor& hypervisor, VirtualProcessor& vp);

/// Takes the buffers that somebody's messages have in the queues of a partition back. Under the
/// communication lock.
void drop_messages(Partition& partition, const MessageOwner& owner);

/// Returns everything but the pool itself: the VPs are gone. Ports and connections end, both ways.
void take_partition_apart(Hypervisor& hypervisor, Partition& partition);

}  // namespace hv
