#include "hv/processor/processor_shares.h"

#include "hv/hypervisor.h"

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

}  // namespace hv
