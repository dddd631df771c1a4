// MSRs of the partition as a whole, and those that only tell something.
#include "hv/hypervisor.h"
#include "hv/msr/msr_handlers.h"
#include "hv/overlay_pages.h"
#include "hv/partition_reset.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/tlfs/msr.h"
#include "machine/machine.h"

namespace hv::msr {
namespace {

/// Under the management lock.
WriteResult place_hypercall_page(const MsrAccess& access, std::uint64_t value) {
  Partition& partition = access.vp.partition;
  const Status status = place_overlay(
      access.hypervisor, partition, {OverlayKind::kHypercall, VpIndex{0}},
      OverlayPageRegister(value), access.hypervisor.hypercall_page(), GpaRights::read_execute());
  if (status != Status::kSuccess) {
    return fault();
  }
  partition.hypercall_register.store(value);
  return {};
}

}  // namespace

ReadResult read_zero(const MsrAccess&) { return 0; }
WriteResult write_ignored(const MsrAccess&, std::uint64_t) { return {}; }
WriteResult write_zero(const MsrAccess&, std::uint64_t value) {
  return value == 0 ? WriteResult() : fault();
}

ReadResult read_guest_os_id(const MsrAccess& access) {
  return access.vp.partition.guest_os_id.load();
}

/// TLFS "Guest OS Identity MSR": zero takes the hypercall page away, unless it is locked.
WriteResult write_guest_os_id(const MsrAccess& access, std::uint64_t value) {
  Partition& partition = access.vp.partition;
  const machine::LockGuard guard(access.hypervisor.management_lock);
  partition.guest_os_id.store(value);
  const OverlayPageRegister hypercall(partition.hypercall_register.load());
  if (value == 0 && hypercall.enabled() && !hypercall.locked()) {
    return place_hypercall_page(access, hypercall.value() & ~OverlayPageRegister::kEnable);
  }
  return {};
}

ReadResult read_hypercall(const MsrAccess& access) {
  return access.vp.partition.hypercall_register.load();
}

/// Once locked it stays as it is until the partition is reset (TLFS "Establishing the Hypercall
/// Interface").
WriteResult write_hypercall(const MsrAccess& access, std::uint64_t value) {
  Partition& partition = access.vp.partition;
  // Another VP may write it, or the guest's identity, at the same time.
  const machine::LockGuard guard(access.hypervisor.management_lock);
  if (OverlayPageRegister(partition.hypercall_register.load()).locked()) {
    return fault();
  }
  if (partition.guest_os_id.load() == 0) {
    value &= ~OverlayPageRegister::kEnable;
  }
  if ((value & OverlayPageRegister::kEnable) == 0) {
    value &= ~OverlayPageRegister::kLocked;
  }
  return place_hypercall_page(access, value);
}

ReadResult read_vp_index(const MsrAccess& access) {
  return static_cast<std::uint64_t>(access.vp.index);
}

ReadResult read_vp_runtime(const MsrAccess& access) {
  return run_time_100ns(access.hypervisor, access.vp);
}

ReadResult read_time_ref_count(const MsrAccess& access) {
  const std::uint64_t now = machine::read_tsc();
  return access.vp.partition.clock.time_at(now);
}

ReadResult read_reference_tsc(const MsrAccess& access) {
  return access.vp.partition.reference_tsc_register.load();
}

/// The page's content does not depend on where it is, and is ready since the partition is.
WriteResult write_reference_tsc(const MsrAccess& access, std::uint64_t value) {
  Partition& partition = access.vp.partition;
  const machine::LockGuard guard(access.hypervisor.management_lock);
  const Status status =
      place_overlay(access.hypervisor, partition, {OverlayKind::kReferenceTsc, VpIndex{0}},
                    OverlayPageRegister(value), partition.reference_tsc_page, GpaRights::read());
  if (status != Status::kSuccess) {
    return fault();
  }
  partition.reference_tsc_register.store(value);
  return {};
}

/// The local APIC's timer counts with the TSC.
ReadResult read_frequency(const MsrAccess& access) {
  return access.hypervisor.information().tsc_frequency_hz;
}

ReadResult read_guest_idle(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  access.vp.suspend.idle = true;
  access.vp.changed = true;
  return 0;
}

ReadResult read_power_state(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.vp.records.power_states[access.msr - kMsrPowerStateConfigC1];
}

WriteResult write_power_state(const MsrAccess& access, std::uint64_t value) {
  const machine::LockGuard guard(access.vp.lock);
  access.vp.records.power_states[access.msr - kMsrPowerStateConfigC1] = value;
  return {};
}

ReadResult read_crash_parameter(const MsrAccess& access) {
  return access.vp.partition.crash_parameters[access.msr - kMsrCrashP0].load();
}

WriteResult write_crash_parameter(const MsrAccess& access, std::uint64_t value) {
  access.vp.partition.crash_parameters[access.msr - kMsrCrashP0].store(value);
  return {};
}

/// What a guest may tell, not what it told (TLFS "Guest Crash Enlightenment").
ReadResult read_crash_control(const MsrAccess&) { return kCrashNotify | kCrashMessage; }

/// It stays for the parent, who reads it with the partition's registers once the guest has stopped.
/// A guest tells its end once: what it writes after that does not change the report.
WriteResult write_crash_control(const MsrAccess& access, std::uint64_t value) {
  if ((value & ~kCrashControlBits) != 0) {
    return fault();
  }
  machine::Shared<std::uint64_t>& control = access.vp.partition.crash_control;
  if ((control.load() & kCrashNotify) == 0) {
    control.store(value);
  }
  return {};
}

WriteResult write_reset(const MsrAccess& access, std::uint64_t value) {
  if ((value & ~kResetPartition) != 0) {
    return fault();
  }
  if (value == 0) {
    return {};
  }
  return std::unexpected(reset_partition(this_processor(), access.vp) ? MsrFailure::kRestarted
                                                                      : MsrFailure::kAgain);
}

// The frequency of a partition's time-stamp counter never changes under this hypervisor: guests may
// ask to be told, and there is nothing to tell (TLFS "Reenlightenment").

ReadResult read_reenlightenment(const MsrAccess& access) {
  return access.vp.partition.reenlightenment_control.load();
}

WriteResult write_reenlightenment(const MsrAccess& access, std::uint64_t value) {
  if ((value & ~kReenlightenmentBits) != 0) {
    return fault();
  }
  access.vp.partition.reenlightenment_control.store(value);
  return {};
}

ReadResult read_tsc_emulation(const MsrAccess& access) {
  return access.vp.partition.tsc_emulation_control.load();
}

WriteResult write_tsc_emulation(const MsrAccess& access, std::uint64_t value) {
  if ((value & ~kTscEmulationEnable) != 0) {
    return fault();
  }
  access.vp.partition.tsc_emulation_control.store(value);
  return {};
}

ReadResult read_tsc_invariant(const MsrAccess& access) {
  return access.vp.partition.tsc_invariant_control.load();
}

WriteResult write_tsc_invariant(const MsrAccess& access, std::uint64_t value) {
  if ((value & ~kTscInvariantShown) != 0) {
    return fault();
  }
  access.vp.partition.tsc_invariant_control.store(value);
  access.vp.partition.change_cpuid();
  return {};
}

}  // namespace hv::msr
