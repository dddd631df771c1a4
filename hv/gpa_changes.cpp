#include "hv/gpa_changes.h"

#include "hv/hypervisor.h"
#include "hv/vtx/guest_context.h"

namespace hv {

void finish_space_changes(Hypervisor& hypervisor, Partition& partition) {
  {
    const machine::LockGuard guard(partition.space_lock);
    if (!partition.space->invalidation_needed()) {
      return;
    }
  }
  hypervisor.flush_translations(partition);
  const machine::LockGuard guard(partition.space_lock);
  partition.space->invalidation_done();
}

Status set_access_tracking(Hypervisor& hypervisor, Partition& partition, bool tracking) {
  if (tracking && !this_processor().capabilities().ept_accessed_dirty) {
    return Status::kPropertyValueOutOfRange;
  }
  machine::Spn root_table;
  {
    const machine::LockGuard guard(partition.space_lock);
    if (partition.space->is_tracking() == tracking) {
      return Status::kSuccess;
    }
    partition.space->set_tracking(tracking);
    root_table = partition.space->root_table();
  }
  partition.ept_pointer.store(vtx::make_ept_pointer(root_table, tracking));
  // What is cached now was cached without a note.
  hypervisor.flush_translations(partition);
  return Status::kSuccess;
}

}  // namespace hv
