#include "hv/partition_time.h"

#include "hv/hypervisor.h"
#include "hv/timer/reference_tsc_page.h"
#include "machine/machine.h"

namespace hv {
namespace {

bool any_may_run(Hypervisor& hypervisor, Partition& partition) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr) {
      const machine::LockGuard vp_guard(vp->lock);
      if (!vp->suspend.explicitly) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

void review_time(Hypervisor& hypervisor, Partition& partition) {
  const bool runs = !partition.properties.time_frozen && partition.suspended.load() == 0 &&
                    any_may_run(hypervisor, partition);
  if (runs == !partition.clock.is_stopped()) {
    return;
  }
  const std::uint64_t now = machine::read_tsc();
  if (runs) {
    partition.clock.go_on(now);
    partition.reference_tsc_sequence =
        publish_reference_tsc(partition.reference_tsc_page, partition.reference_tsc_sequence,
                              partition.clock.scale(), partition.clock.offset());
  } else {
    // Readers turn to the MSR, which answers with the time that stands.
    invalidate_reference_tsc(partition.reference_tsc_page);
    partition.clock.stop(now);
  }
}

void set_time(Partition& partition, std::uint64_t time_100ns) {
  INVARIANT(partition.clock.is_stopped());
  partition.clock.set(time_100ns);
}

}  // namespace hv
