#include "hv/partition_stop.h"

#include "hv/hypervisor.h"

namespace hv {

PartitionStop::PartitionStop(Hypervisor& hypervisor, Partition& partition,
                             const VirtualProcessor* except)
    : hypervisor_(hypervisor), partition_(partition) {
  for (std::uint32_t index = 0; index < kMaxVirtualProcessors; ++index) {
    VirtualProcessor* const vp = find(index);
    if (vp != nullptr && vp != except) {
      hypervisor.stop(*vp);
      stopped_ |= 1ull << index;
    }
  }
}

PartitionStop::~PartitionStop() {
  for_each([this](VirtualProcessor& vp) {
    hypervisor_.resume(vp);
    hypervisor_.notify(vp);
  });
}

VirtualProcessor* PartitionStop::find(std::uint32_t index) const {
  const machine::LockGuard guard(hypervisor_.communication_lock);
  return partition_.vp(VpIndex{index});
}

}  // namespace hv
