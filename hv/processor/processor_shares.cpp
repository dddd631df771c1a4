#include "hv/processor/processor_shares.h"

#include "hv/hypervisor.h"
#include "machine/machine.h"

namespace hv {
namespace {

/// The partition after `partition` in an order that has each one once; null after the last.
const Partition* next_in_tree(const Partition* partition) {
  if (partition->first_child != nullptr) {
    return partition->first_child;
  }
  while (partition != nullptr && partition->next_sibling == nullptr) {
    partition = partition->parent;
  }
  return partition != nullptr ? partition->next_sibling : nullptr;
}

}  // namespace

bool reserves_fit(Hypervisor& hypervisor, const Partition& changed, std::uint64_t reserve,
                  std::uint32_t vp_count) {
  std::uint64_t sum = reserve * vp_count;
  for (const Partition* other = &hypervisor.root(); other != nullptr; other = next_in_tree(other)) {
    if (other != &changed) {
      sum += std::uint64_t{other->properties.cpu_reserve} * other->vps.count();
    }
  }
  return sum <= hypervisor.processor_count() * kCpuReserveMax;
}

ProcessorShares shares_of(const Partition& partition) {
  return {.weight = partition.weight,
          .reserve = partition.properties.cpu_reserve,
          .cap = partition.properties.cpu_cap};
}

void apply_shares(Hypervisor& hypervisor, Partition& partition) {
  const std::uint64_t now = machine::read_tsc();
  const machine::LockGuard guard(hypervisor.scheduler_lock);
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr) {
      const std::uint32_t nudged = hypervisor.scheduler.set_shares(*vp, shares_of(partition), now);
      if (nudged != kNoLp) {
        hypervisor.nudge(nudged);
      }
    }
  }
}

}  // namespace hv
