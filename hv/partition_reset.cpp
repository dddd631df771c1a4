#include "hv/partition_reset.h"

#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/partition_life.h"
#include "hv/partition_stop.h"
#include "hv/processor/lazy_end_of_interrupt.h"
#include "hv/processor/register_page.h"
#include "hv/statistics/statistics_pages.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

constexpr machine::Site kPartitionReset{"hv.partition.reset"};

void hide_overlays(Hypervisor& hypervisor, Partition& partition) {
  const machine::LockGuard guard(hypervisor.management_lock);
  unmap_all_statistics(hypervisor, partition);
  bool flush = false;
  {
    const machine::LockGuard space_guard(partition.space_lock);
    partition.space->hide_own_overlays();
    flush = partition.space->invalidation_needed();
  }
  if (flush) {
    hypervisor.flush_translations(partition);
    const machine::LockGuard space_guard(partition.space_lock);
    partition.space->invalidation_done();
  }
}

void forget_settings(Partition& partition) {
  partition.guest_os_id.store(0);
  partition.hypercall_register.store(0);
  partition.reference_tsc_register.store(0);
  for (machine::Shared<std::uint64_t>& parameter : partition.crash_parameters) {
    parameter.store(0);
  }
  partition.crash_control.store(0);
  partition.reenlightenment_control.store(0);
  partition.tsc_emulation_control.store(0);
  partition.tsc_invariant_control.store(0);
  partition.change_cpuid();
}

/// The virtual processor is loaded here.
void reset_processor(Hypervisor& hypervisor, VirtualProcessor& vp) {
  {
    // An intercept that its parent has yet to hear of is of the time before.
    const machine::LockGuard guard(hypervisor.communication_lock);
    drop_messages(*vp.partition.parent, vp.intercept_owner);
  }
  drop_register_page(hypervisor, vp);
  const machine::LockGuard guard(vp.lock);
  withdraw_lazy_end(vp);
  vp.synic.reset();
  vp.timers.reset();
  vp.apic.reset(vp.apic.id());
  vp.external_vectors = {};
  vp.external_acknowledged = false;
  vp.nmi_pending = false;
  vp.init_pending = false;
  vp.startup_vector.reset();
  vp.vp_assist = {};
  machine::fill_memory(machine::Spa(vp.pages.assist), machine::kPageSize, 0);
  vp.suspend.intercept = false;
  vp.suspend.startup = vp.index != VpIndex{0};
  vp.suspend.halt = false;
  vp.suspend.idle = false;
  vp.suspend.flush = false;
  vp.tlb_flush_inhibited = false;
  vp.halts = false;
  vp.pending_event = {};
  vp.events_asked_for = false;
  vp.records.pending_events = {};
  vp.records.memory_types = {};
  vp.records.unhalted_timer = {};
  vp.interrupt_window = false;
  vp.context.reset_state();
  vp.extended.reset();
  vp.switched_msrs.reset();
  vp.changed = true;
}

}  // namespace

bool reset_partition(LogicalProcessor& processor, VirtualProcessor& vp) {
  Hypervisor& hypervisor = processor.hypervisor();
  Partition& partition = vp.partition;
  if (partition.is_root()) {
    machine::stop(kStopNormally);
  }
  if (!hypervisor.try_begin_stop()) {
    return false;
  }
  machine::trace(kPartitionReset, machine::Track::kPartition,
                 static_cast<std::uint64_t>(partition.id));
  {
    PartitionStop stopped(hypervisor, partition, &vp);
    hide_overlays(hypervisor, partition);
    forget_settings(partition);
    processor.run_with_other_context([&] {
      stopped.for_each([&](VirtualProcessor& other) {
        other.context.load(processor.index());
        reset_processor(hypervisor, other);
        other.context.unload();
      });
    });
    reset_processor(hypervisor, vp);
  }
  hypervisor.end_stop();
  return true;
}

}  // namespace hv
