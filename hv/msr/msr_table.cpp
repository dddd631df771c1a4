#include "hv/msr/msr_table.h"

#include <algorithm>
#include <iterator>

#include "hv/hypervisor.h"
#include "hv/msr/msr_handlers.h"
#include "hv/tlfs/msr.h"
#include "machine/x86.h"

namespace hv {
namespace {

namespace x86 = machine::x86;

constexpr std::uint32_t kMsrMicrocodeRevision = 0x8B;

constexpr std::uint64_t bit(Privilege privilege) { return static_cast<std::uint64_t>(privilege); }

constexpr MsrDescription kMsrs[] = {
    {x86::kMsrTsc, x86::kMsrTsc, "IA32_TSC", 0, msr::read_tsc, nullptr},
    {x86::kMsrApicBase, x86::kMsrApicBase, "IA32_APIC_BASE", 0, msr::read_apic_base,
     msr::write_apic_base},
    {kMsrMicrocodeRevision, kMsrMicrocodeRevision, "IA32_BIOS_SIGN_ID", 0, msr::read_zero,
     msr::write_ignored},
    {x86::kMsrSysenterCs, x86::kMsrSysenterEip, "IA32_SYSENTER_CS..EIP", 0, msr::read_sysenter,
     msr::write_sysenter},
    {x86::kMsrMiscEnable, x86::kMsrMiscEnable, "IA32_MISC_ENABLE", 0, msr::read_misc_enable,
     msr::write_ignored},
    {x86::kMsrPat, x86::kMsrPat, "IA32_PAT", 0, msr::read_pat, msr::write_pat},
    {x86::kMsrTscDeadline, x86::kMsrTscDeadline, "IA32_TSC_DEADLINE", 0, msr::read_tsc_deadline,
     msr::write_tsc_deadline},
    {x86::kX2ApicFirst, x86::kX2ApicLast, "x2APIC registers", 0, msr::read_x2apic,
     msr::write_x2apic},
    {kMsrGuestOsId, kMsrGuestOsId, "GUEST_OS_ID", bit(Privilege::kAccessHypercallMsrs),
     msr::read_guest_os_id, msr::write_guest_os_id},
    {kMsrHypercall, kMsrHypercall, "HYPERCALL", bit(Privilege::kAccessHypercallMsrs),
     msr::read_hypercall, msr::write_hypercall},
    {kMsrVpIndex, kMsrVpIndex, "VP_INDEX", bit(Privilege::kAccessVpIndex), msr::read_vp_index,
     nullptr},
    {kMsrReset, kMsrReset, "RESET", bit(Privilege::kAccessResetReg), msr::read_zero,
     msr::write_reset},
    {kMsrVpRuntime, kMsrVpRuntime, "VP_RUNTIME", bit(Privilege::kAccessVpRunTimeReg),
     msr::read_vp_runtime, nullptr},
    {kMsrTimeRefCount, kMsrTimeRefCount, "TIME_REF_COUNT",
     bit(Privilege::kAccessPartitionReferenceCounter), msr::read_time_ref_count, nullptr},
    {kMsrReferenceTsc, kMsrReferenceTsc, "REFERENCE_TSC",
     bit(Privilege::kAccessPartitionReferenceTsc), msr::read_reference_tsc,
     msr::write_reference_tsc},
    {kMsrTscFrequency, kMsrApicFrequency, "TSC_FREQUENCY, APIC_FREQUENCY",
     bit(Privilege::kAccessFrequencyRegs), msr::read_frequency, nullptr},
    {kMsrNpiepConfig, kMsrNpiepConfig, "NPIEP_CONFIG", 0, msr::read_zero, msr::write_zero},
    {kMsrEoi, kMsrEoi, "EOI", bit(Privilege::kAccessIntrCtrlRegs), nullptr, msr::write_eoi},
    {kMsrIcr, kMsrIcr, "ICR", bit(Privilege::kAccessIntrCtrlRegs), msr::read_icr, msr::write_icr},
    {kMsrTpr, kMsrTpr, "TPR", bit(Privilege::kAccessIntrCtrlRegs), msr::read_tpr, msr::write_tpr},
    {kMsrVpAssistPage, kMsrVpAssistPage, "VP_ASSIST_PAGE", bit(Privilege::kAccessIntrCtrlRegs),
     msr::read_vp_assist, msr::write_vp_assist},
    {kMsrScontrol, kMsrSirbp, "SCONTROL..SIRBP", bit(Privilege::kAccessSynicRegs), msr::read_synic,
     msr::write_synic},
    {kMsrSint0, kMsrSint15, "SINT0..SINT15", bit(Privilege::kAccessSynicRegs), msr::read_synic,
     msr::write_synic},
    {kMsrStimer0Config, kMsrStimer3Count, "STIMER0_CONFIG..STIMER3_COUNT",
     bit(Privilege::kAccessSyntheticTimerRegs), msr::read_timer, msr::write_timer},
    {kMsrPowerStateTriggerC1, kMsrPowerStateTriggerC3, "POWER_STATE_TRIGGER_C1..C3",
     bit(Privilege::kCpuManagement), msr::read_guest_idle, nullptr},
    {kMsrPowerStateConfigC1, kMsrPowerStateConfigC3, "POWER_STATE_CONFIG_C1..C3",
     bit(Privilege::kCpuManagement), msr::read_power_state, msr::write_power_state},
    {kMsrStatsPartitionRetail, kMsrStatsVpInternal, "STATS_PARTITION_RETAIL..STATS_VP_INTERNAL",
     bit(Privilege::kAccessStatsReg), msr::read_statistics_page, msr::write_statistics_page},
    {kMsrGuestIdle, kMsrGuestIdle, "GUEST_IDLE", bit(Privilege::kAccessGuestIdleReg),
     msr::read_guest_idle, nullptr},
    {kMsrCrashP0, kMsrCrashP4, "CRASH_P0..CRASH_P4", 0, msr::read_crash_parameter,
     msr::write_crash_parameter},
    {kMsrCrashCtl, kMsrCrashCtl, "CRASH_CTL", 0, msr::read_crash_control, msr::write_crash_control},
    {kMsrReenlightenmentControl, kMsrReenlightenmentControl, "REENLIGHTENMENT_CONTROL",
     bit(Privilege::kAccessReenlightenmentControls), msr::read_reenlightenment,
     msr::write_reenlightenment},
    {kMsrTscEmulationControl, kMsrTscEmulationControl, "TSC_EMULATION_CONTROL",
     bit(Privilege::kAccessReenlightenmentControls), msr::read_tsc_emulation,
     msr::write_tsc_emulation},
    {kMsrTscEmulationStatus, kMsrTscEmulationStatus, "TSC_EMULATION_STATUS",
     bit(Privilege::kAccessReenlightenmentControls), msr::read_zero, msr::write_zero},
    {kMsrUnhaltedTimerConfig, kMsrUnhaltedTimerCount, "STIME_UNHALTED_TIMER_CONFIG, COUNT",
     bit(Privilege::kAccessSyntheticTimerRegs), msr::read_unhalted_timer,
     msr::write_unhalted_timer},
    {kMsrTscInvariantControl, kMsrTscInvariantControl, "TSC_INVARIANT_CONTROL",
     bit(Privilege::kAccessTscInvariantControls), msr::read_tsc_invariant,
     msr::write_tsc_invariant},
    {x86::kMsrEfer, x86::kMsrEfer, "IA32_EFER", 0, msr::read_efer, msr::write_efer},
    {x86::kMsrStar, x86::kMsrSfmask, "IA32_STAR..FMASK", 0, msr::read_switched,
     msr::write_switched},
    {x86::kMsrKernelGsBase, x86::kMsrTscAux, "IA32_KERNEL_GS_BASE, TSC_AUX", 0, msr::read_switched,
     msr::write_switched},
};

constexpr bool is_ascending() {
  for (std::size_t index = 1; index < std::size(kMsrs); ++index) {
    if (kMsrs[index].first <= kMsrs[index - 1].last) {
      return false;
    }
  }
  return true;
}
static_assert(is_ascending());

const MsrDescription* find(std::uint32_t number) {
  const auto* const end = std::end(kMsrs);
  const auto* const found = std::lower_bound(
      std::begin(kMsrs), end, number,
      [](const MsrDescription& entry, std::uint32_t key) { return entry.last < key; });
  return found != end && found->first <= number ? found : nullptr;
}

/// Privileges are for the guest's instructions.
bool may_access(const MsrAccess& access, const MsrDescription& entry) {
  return access.as_register ||
         (access.vp.partition.privileges.bits() & entry.privilege) == entry.privilege;
}

}  // namespace

std::span<const MsrDescription> msr_table() { return kMsrs; }

const MsrDescription* find_guest_msr(std::uint32_t number) { return find(number); }

std::expected<std::uint64_t, MsrFailure> read_guest_msr(const MsrAccess& access) {
  const MsrDescription* entry = find(access.msr);
  if (entry == nullptr) {
    return std::unexpected(MsrFailure::kUnknown);
  }
  // Without the privilege the MSR is the parent's to emulate (TLFS "Partition Privilege Flags").
  if (!may_access(access, *entry)) {
    return std::unexpected(MsrFailure::kNoPrivilege);
  }
  if (entry->read == nullptr) {
    return std::unexpected(MsrFailure::kFault);
  }
  return entry->read(access);
}

std::expected<void, MsrFailure> write_guest_msr(const MsrAccess& access, std::uint64_t value) {
  const MsrDescription* entry = find(access.msr);
  if (entry == nullptr) {
    return std::unexpected(MsrFailure::kUnknown);
  }
  if (!may_access(access, *entry)) {
    return std::unexpected(MsrFailure::kNoPrivilege);
  }
  if (entry->write == nullptr) {
    return std::unexpected(MsrFailure::kFault);
  }
  return entry->write(access, value);
}

}  // namespace hv
