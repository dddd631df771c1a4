#include "hv/overlay_pages.h"

#include "hv/hypervisor.h"

namespace hv {

Status place_overlay(Hypervisor& hypervisor, Partition& partition, OverlayId id,
                     OverlayPageRegister where, machine::Spn page, GpaRights rights) {
  Status status = Status::kSuccess;
  bool flush = false;
  {
    const machine::LockGuard space_guard(partition.space_lock);
    GpaSpace& space = *partition.space;
    const bool inside = space.contains(where.page());
    if (where.enabled() && !inside && id.kind == OverlayKind::kHypercall) {
      status = Status::kInvalidParameter;
    } else if (!where.enabled() || !inside) {
      space.hide_overlay(id);
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
