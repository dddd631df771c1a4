#include "hv/overlay_pages.h"

#include "hv/hypervisor.h"

namespace hv {

Status place_overlay(Hypervisor& hypervisor, Partition& partition, OverlayId id,
                     OverlayPageRegister where, machine::Spn page, GpaRights rights) {
  const machine::LockGuard guard(hypervisor.management_lock);
  Status status = Status::kSuccess;
  bool flush = false;
  {
    const machine::LockGuard space_guard(partition.space_lock);
    GpaSpace& space = *partition.space;
    if (!where.enabled()) {
      space.hide_overlay(id);
    } else if (!space.contains(where.page())) {
      status = Status::kInvalidParameter;
    } else {
      status = space.show_overlay(id, where.page(), page, rights);
    }
    flush = space.invalidation_needed();
  }
  if (flush) {
    hypervisor.flush_translations(partition);
    const machine::LockGuard space_guard(partition.space_lock);
    partition.space->invalidation_done();
  }
  return status;
}

}  // namespace hv
