// MSRs of the partition as a whole, and those that only tell something: each as it works, each
// value that it refuses, and each without its privilege (TLFS "MSR Address Space").
#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/msr_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using hv::OverlayPageRegister;
using hv::Privilege;
using machine::Gpa;
using machine::Gpn;
using machine::read_msr;

constexpr MsrOutcome kWorks = MsrOutcome::kWorks;
constexpr MsrOutcome kFaults = MsrOutcome::kFaults;
constexpr Gpa kPage{0x40'6000};
constexpr std::uint64_t kOutside = 0xF'FFFF'FFFF'F001;

constexpr std::uint64_t enabled(Gpa page) { return OverlayPageRegister(page.page(), true).value(); }

constexpr const char* kRests = "read: the root's processor rests until an interrupt comes";

/// The interrupt is a timer's.
template <std::uint32_t kTrigger>
MsrOutcome rest() {
  machine::disable_interrupts();
  write_msr_now(hv::kMsrStimer0Config, hv::TimerConfig::kEnable | hv::TimerConfig::kAutoEnable |
                                           hv::TimerConfig::kDirect |
                                           0x41u << hv::TimerConfig::kVectorShift);
  const std::uint64_t due = read_msr(hv::kMsrTimeRefCount) + 1'000;
  write_msr_now(hv::kMsrStimer0Count, due);
  const MsrOutcome outcome = read(kTrigger);
  GUEST_CHECK(read_msr(hv::kMsrTimeRefCount) >= due);
  return outcome;
}

constexpr MsrCase kHypercallCases[] = {
    {hv::kMsrGuestOsId, "an identity, which any processor reads", kWorks,
     [] { return write_and_read_back(hv::kMsrGuestOsId, 0x8100'0006'0100'0000); }},
    {hv::kMsrGuestOsId, "0: the hypercall page goes away", kWorks,
     [] {
       const MsrOutcome outcome = write(hv::kMsrGuestOsId, 0);
       GUEST_CHECK((read_msr(hv::kMsrHypercall) & OverlayPageRegister::kEnable) == 0);
       begin();
       return outcome;
     }},
    {hv::kMsrGuestOsId, "0 while the hypercall page is locked: it stays", kWorks,
     [] {
       write_msr_now(hv::kMsrHypercall, enabled(kHypercallPage) | OverlayPageRegister::kLocked);
       const MsrOutcome outcome = write(hv::kMsrGuestOsId, 0);
       GUEST_CHECK((read_msr(hv::kMsrHypercall) & OverlayPageRegister::kEnable) != 0);
       return outcome;
     }},
    unreadable<hv::kMsrGuestOsId, Privilege::kAccessHypercallMsrs>(),
    unwritable<hv::kMsrGuestOsId, Privilege::kAccessHypercallMsrs>(),

    {hv::kMsrHypercall, "another place: the page moves, what was beneath comes back", kWorks,
     [] {
       machine::store_u64(kPage, 0x1234);
       const MsrOutcome outcome = write_and_read_back(hv::kMsrHypercall, enabled(kPage));
       GUEST_CHECK(machine::load_u64(kPage) != 0x1234);
       GUEST_CHECK(machine::load_u64(kHypercallPage) == 0);
       begin();
       GUEST_CHECK(machine::load_u64(kPage) == 0x1234);
       return outcome;
     }},
    {hv::kMsrHypercall, "reserved bits, which stay as written", kWorks,
     [] { return write_and_read_back(hv::kMsrHypercall, enabled(kHypercallPage) | 0xFFC); }},
    {hv::kMsrHypercall, "enabled without an identity: the bit stays clear", kWorks,
     [] {
       write_msr_now(hv::kMsrGuestOsId, 0);
       const MsrOutcome outcome = write(hv::kMsrHypercall, enabled(kHypercallPage));
       GUEST_CHECK(read_msr(hv::kMsrHypercall) == enabled(kHypercallPage) - 1);
       begin();
       return outcome;
     }},
    {hv::kMsrHypercall, "a page outside of the GPA space", kFaults,
     [] {
       const MsrOutcome outcome = write(hv::kMsrHypercall, kOutside);
       GUEST_CHECK(read_msr(hv::kMsrHypercall) == enabled(kHypercallPage));
       return outcome;
     }},
    {hv::kMsrHypercall, "anything once it is locked", kFaults,
     [] {
       write_msr_now(hv::kMsrHypercall, enabled(kHypercallPage) | OverlayPageRegister::kLocked);
       return write(hv::kMsrHypercall, enabled(kPage));
     }},
    unreadable<hv::kMsrHypercall, Privilege::kAccessHypercallMsrs>(),
    unwritable<hv::kMsrHypercall, Privilege::kAccessHypercallMsrs>(),

    {hv::kMsrVpIndex, "read: the first VP has 0", kWorks,
     [] {
       GUEST_CHECK(read_msr(hv::kMsrVpIndex) == 0);
       return kWorks;
     }},
    {hv::kMsrVpIndex, "written", kFaults, [] { return write(hv::kMsrVpIndex, 0); }},
    unreadable<hv::kMsrVpIndex, Privilege::kAccessVpIndex>(),

    {hv::kMsrReset, "read: always 0", kWorks,
     [] {
       GUEST_CHECK(read_msr(hv::kMsrReset) == 0);
       return kWorks;
     }},
    {hv::kMsrReset, "0: nothing is reset", kWorks,
     [] {
       const MsrOutcome outcome = write(hv::kMsrReset, 0);
       GUEST_CHECK(read_msr(hv::kMsrGuestOsId) != 0);
       return outcome;
     }},
    {hv::kMsrReset, "a reserved bit", kFaults, [] { return write(hv::kMsrReset, 3); }},
    unreadable<hv::kMsrReset, Privilege::kAccessResetReg>(),
    unwritable<hv::kMsrReset, Privilege::kAccessResetReg>(),
};

constexpr MsrCase kTimeCases[] = {
    {hv::kMsrVpRuntime, "read twice: it has run meanwhile", kWorks,
     [] {
       const std::uint64_t before = read_msr(hv::kMsrVpRuntime);
       machine::spend(10'000);
       GUEST_CHECK(read_msr(hv::kMsrVpRuntime) >= before + 100);
       return kWorks;
     }},
    {hv::kMsrVpRuntime, "written", kFaults, [] { return write(hv::kMsrVpRuntime, 0); }},
    unreadable<hv::kMsrVpRuntime, Privilege::kAccessVpRunTimeReg>(),
    {hv::kMsrTimeRefCount, "read twice: time has passed", kWorks,
     [] {
       const std::uint64_t before = read_msr(hv::kMsrTimeRefCount);
       machine::spend(10'000);
       GUEST_CHECK(read_msr(hv::kMsrTimeRefCount) >= before + 100);
       return kWorks;
     }},
    {hv::kMsrTimeRefCount, "written", kFaults, [] { return write(hv::kMsrTimeRefCount, 0); }},
    unreadable<hv::kMsrTimeRefCount, Privilege::kAccessPartitionReferenceCounter>(),
    {hv::kMsrReferenceTsc, "a page: valid as soon as the instruction is over", kWorks,
     [] {
       const MsrOutcome outcome = write_and_read_back(hv::kMsrReferenceTsc, enabled(kPage));
       const std::uint32_t sequence = machine::load_u32(kPage);
       GUEST_CHECK(sequence != hv::kReferenceTscSequenceInvalid);
       GUEST_CHECK(sequence != hv::kReferenceTscSequenceReserved);
       return outcome;
     }},
    {hv::kMsrReferenceTsc, "a page in a child without an identity or a hypercall page", kWorks,
     [] { return write_and_read_back(hv::kMsrReferenceTsc, enabled(kPage)); }, Caller::kChild,
     nullptr, nullptr, [](hv::PartitionId) {}},
    {hv::kMsrReferenceTsc, "the page of another overlay: the younger is seen, then the other",
     kWorks,
     [] {
       const MsrOutcome outcome = write(hv::kMsrReferenceTsc, enabled(kMessagePage));
       GUEST_CHECK(machine::load_u64(kMessagePage + 8) != 0);
       write_msr_now(hv::kMsrReferenceTsc, 0);
       GUEST_CHECK(machine::load_u64(kMessagePage + 8) == 0);
       return outcome;
     }},
    {hv::kMsrReferenceTsc, "a page outside of the GPA space: it is seen nowhere", kWorks,
     [] {
       machine::store_u64(kPage, 0x1234);
       write_msr_now(hv::kMsrReferenceTsc, enabled(kPage));
       const MsrOutcome outcome = write_and_read_back(hv::kMsrReferenceTsc, kOutside);
       GUEST_CHECK(machine::load_u64(kPage) == 0x1234);
       return outcome;
     }},
    unreadable<hv::kMsrReferenceTsc, Privilege::kAccessPartitionReferenceTsc>(),
    unwritable<hv::kMsrReferenceTsc, Privilege::kAccessPartitionReferenceTsc>(),
    {hv::kMsrTscFrequency, "read: as fast as the counter runs", kWorks,
     [] {
       const std::uint64_t hz = read_msr(hv::kMsrTscFrequency);
       const std::uint64_t ticks = machine::read_tsc();
       const std::uint64_t time = read_msr(hv::kMsrTimeRefCount);
       machine::spend(1'000'000);
       const std::uint64_t passed = read_msr(hv::kMsrTimeRefCount) - time;
       const std::uint64_t counted = (machine::read_tsc() - ticks) / (hz / 10'000'000);
       GUEST_CHECK(counted >= passed && counted <= passed + 1'000);
       return kWorks;
     }},
    {hv::kMsrTscFrequency, "written", kFaults, [] { return write(hv::kMsrTscFrequency, 1); }},
    unreadable<hv::kMsrTscFrequency, Privilege::kAccessFrequencyRegs>(),
    {hv::kMsrApicFrequency, "read", kWorks, [] { return read(hv::kMsrApicFrequency); }},
    {hv::kMsrApicFrequency, "written", kFaults, [] { return write(hv::kMsrApicFrequency, 1); }},
    unreadable<hv::kMsrApicFrequency, Privilege::kAccessFrequencyRegs>(),
    {hv::kMsrPowerStateTriggerC1, kRests, kWorks, &rest<hv::kMsrPowerStateTriggerC1>},
    {hv::kMsrPowerStateTriggerC1 + 1, kRests, kWorks, &rest<hv::kMsrPowerStateTriggerC1 + 1>},
    {hv::kMsrPowerStateTriggerC3, kRests, kWorks, &rest<hv::kMsrPowerStateTriggerC3>},
    {hv::kMsrPowerStateTriggerC1, "written", kFaults,
     [] { return write(hv::kMsrPowerStateTriggerC1, 0); }},
    {hv::kMsrPowerStateTriggerC1, "read by a child", kFaults,
     [] { return read(hv::kMsrPowerStateTriggerC1); }, Caller::kChild},
    {hv::kMsrPowerStateTriggerC3, "read by a child", kFaults,
     [] { return read(hv::kMsrPowerStateTriggerC3); }, Caller::kChild},
    {hv::kMsrPowerStateConfigC1, "a number, each its own", kWorks,
     [] {
       GUEST_CHECK(read_msr(hv::kMsrPowerStateConfigC1) == 0);
       const MsrOutcome outcome = write_and_read_back(hv::kMsrPowerStateConfigC1, ~0ull);
       GUEST_CHECK(write_and_read_back(hv::kMsrPowerStateConfigC3, 3) == kWorks);
       GUEST_CHECK(read_msr(hv::kMsrPowerStateConfigC1) == ~0ull);
       GUEST_CHECK(read_msr(hv::kMsrPowerStateConfigC1 + 1) == 0);
       return outcome;
     }},
    {hv::kMsrPowerStateConfigC1, "read by a child", kFaults,
     [] { return read(hv::kMsrPowerStateConfigC1); }, Caller::kChild},
    {hv::kMsrPowerStateConfigC3, "written by a child", kFaults,
     [] { return write(hv::kMsrPowerStateConfigC3, 1); }, Caller::kChild},
    {hv::kMsrGuestIdle, "read: until an interrupt comes, whether or not it is taken", kWorks,
     [] {
       machine::disable_interrupts();
       write_msr_now(hv::kMsrStimer0Config,
                     hv::TimerConfig::kEnable | hv::TimerConfig::kAutoEnable |
                         hv::TimerConfig::kDirect | 0x41u << hv::TimerConfig::kVectorShift);
       const std::uint64_t due = read_msr(hv::kMsrTimeRefCount) + 1'000;
       write_msr_now(hv::kMsrStimer0Count, due);
       const MsrOutcome outcome = read(hv::kMsrGuestIdle);
       GUEST_CHECK(read_msr(hv::kMsrTimeRefCount) >= due);
       return outcome;
     }},
    {hv::kMsrGuestIdle, "written", kFaults, [] { return write(hv::kMsrGuestIdle, 0); }},
    unreadable<hv::kMsrGuestIdle, Privilege::kAccessGuestIdleReg>(),
};

constexpr MsrCase kOtherCases[] = {
    {hv::kMsrNpiepConfig, "turned off, as it is", kWorks,
     [] { return write_and_read_back(hv::kMsrNpiepConfig, 0); }},
    {hv::kMsrNpiepConfig, "turned on, which is not offered", kFaults,
     [] {
       GUEST_CHECK((machine::cpuid(hv::kCpuidFeatures, 0).edx & 1u << 12) == 0);
       return write(hv::kMsrNpiepConfig, 1);
     }},
    {hv::kMsrCrashP0, "a number", kWorks,
     [] { return write_and_read_back(hv::kMsrCrashP0, ~0ull); }},
    {hv::kMsrCrashP4, "a number", kWorks, [] { return write_and_read_back(hv::kMsrCrashP4, 1); }},
    {hv::kMsrCrashCtl, "a crash: the MSR goes on to say what can be told", kWorks,
     [] {
       const std::uint64_t offered = hv::kCrashNotify | hv::kCrashMessage;
       GUEST_CHECK(read_msr(hv::kMsrCrashCtl) == offered);
       const MsrOutcome outcome = write(hv::kMsrCrashCtl, hv::kCrashNotify);
       GUEST_CHECK(read_msr(hv::kMsrCrashCtl) == offered);
       return outcome;
     }},
    {hv::kMsrCrashCtl, "a second crash: the parent reads of the first", kWorks,
     [] {
       write_msr_now(hv::kMsrCrashCtl, hv::kCrashNotify | hv::kCrashMessage);
       return write(hv::kMsrCrashCtl, hv::kCrashNotify);
     },
     Caller::kChild, nullptr,
     [](const child_maker::Child& child) {
       GUEST_CHECK(register_of(child, hv::RegisterName::kCrashCtl) ==
                   (hv::kCrashNotify | hv::kCrashMessage));
     }},
    {hv::kMsrCrashCtl, "a reserved bit", kFaults,
     [] { return write(hv::kMsrCrashCtl, hv::kCrashNotify | 1); }},
    {hv::kMsrReenlightenmentControl, "a vector, and on", kWorks,
     [] { return write_and_read_back(hv::kMsrReenlightenmentControl, 0x1'0000'0001'00EE); },
     Caller::kChild, nullptr, nullptr, with<Privilege::kAccessReenlightenmentControls>},
    {hv::kMsrReenlightenmentControl, "a reserved bit", kFaults,
     [] { return write(hv::kMsrReenlightenmentControl, 1u << 8); }, Caller::kChild, nullptr,
     nullptr, with<Privilege::kAccessReenlightenmentControls>},
    unreadable<hv::kMsrReenlightenmentControl, Privilege::kAccessReenlightenmentControls>(),
    {hv::kMsrTscEmulationControl, "on", kWorks,
     [] { return write_and_read_back(hv::kMsrTscEmulationControl, 1); }, Caller::kChild, nullptr,
     nullptr, with<Privilege::kAccessReenlightenmentControls>},
    {hv::kMsrTscEmulationControl, "a reserved bit", kFaults,
     [] { return write(hv::kMsrTscEmulationControl, 2); }, Caller::kChild, nullptr, nullptr,
     with<Privilege::kAccessReenlightenmentControls>},
    unreadable<hv::kMsrTscEmulationControl, Privilege::kAccessReenlightenmentControls>(),
    {hv::kMsrTscEmulationStatus, "ended, which it never began", kWorks,
     [] { return write_and_read_back(hv::kMsrTscEmulationStatus, 0); }, Caller::kChild, nullptr,
     nullptr, with<Privilege::kAccessReenlightenmentControls>},
    {hv::kMsrTscEmulationStatus, "begun by the guest", kFaults,
     [] { return write(hv::kMsrTscEmulationStatus, 1); }, Caller::kChild, nullptr, nullptr,
     with<Privilege::kAccessReenlightenmentControls>},
    unreadable<hv::kMsrTscEmulationStatus, Privilege::kAccessReenlightenmentControls>(),
    {hv::kMsrTscInvariantControl, "CPUID tells of the invariant counter from then on", kWorks,
     [] {
       constexpr std::uint32_t kInvariant = 1u << 8;
       GUEST_CHECK((machine::cpuid(0x8000'0007, 0).edx & kInvariant) == 0);
       const MsrOutcome outcome = write_and_read_back(hv::kMsrTscInvariantControl, 1);
       GUEST_CHECK((machine::cpuid(0x8000'0007, 0).edx & kInvariant) != 0);
       return outcome;
     },
     Caller::kChild, nullptr, nullptr, with<Privilege::kAccessTscInvariantControls>},
    {hv::kMsrTscInvariantControl, "a reserved bit", kFaults,
     [] { return write(hv::kMsrTscInvariantControl, 2); }, Caller::kChild, nullptr, nullptr,
     with<Privilege::kAccessTscInvariantControls>},
    unreadable<hv::kMsrTscInvariantControl, Privilege::kAccessTscInvariantControls>(),
    {0x4000'01FF, "an MSR that does not exist", kFaults, [] { return read(0x4000'01FF); }},
    {0x4000'01FF, "an MSR that does not exist, where the parent says to ignore it", kWorks,
     [] {
       GUEST_CHECK(read_msr(0x4000'01FF) == 0);
       return write_and_zero(0x4000'01FF, 7);
     },
     Caller::kChild, ignore_unknown_msrs},
    {hv::kMsrTscInvariantControl, "without the privilege, where the parent ignores unknown MSRs",
     kFaults, [] { return write(hv::kMsrTscInvariantControl, 1); }, Caller::kChild,
     ignore_unknown_msrs},
};

/// Of MSRs whose own rows are elsewhere.
constexpr MsrCase kPrivilegeCases[] = {
    unwritable<hv::kMsrEoi, Privilege::kAccessIntrCtrlRegs>(),
    unreadable<hv::kMsrIcr, Privilege::kAccessIntrCtrlRegs>(),
    unwritable<hv::kMsrIcr, Privilege::kAccessIntrCtrlRegs>(),
    unreadable<hv::kMsrTpr, Privilege::kAccessIntrCtrlRegs>(),
    unwritable<hv::kMsrTpr, Privilege::kAccessIntrCtrlRegs>(),
    unreadable<hv::kMsrVpAssistPage, Privilege::kAccessIntrCtrlRegs>(),
    unwritable<hv::kMsrVpAssistPage, Privilege::kAccessIntrCtrlRegs>(),
    unreadable<hv::kMsrScontrol, Privilege::kAccessSynicRegs>(),
    unwritable<hv::kMsrScontrol, Privilege::kAccessSynicRegs>(),
    unreadable<hv::kMsrSversion, Privilege::kAccessSynicRegs>(),
    unreadable<hv::kMsrSiefp, Privilege::kAccessSynicRegs>(),
    unwritable<hv::kMsrSiefp, Privilege::kAccessSynicRegs>(),
    unreadable<hv::kMsrSimp, Privilege::kAccessSynicRegs>(),
    unwritable<hv::kMsrSimp, Privilege::kAccessSynicRegs>(),
    unwritable<hv::kMsrEom, Privilege::kAccessSynicRegs>(),
    unreadable<hv::kMsrSint0, Privilege::kAccessSynicRegs>(),
    unwritable<hv::kMsrSint15, Privilege::kAccessSynicRegs>(),
    unreadable<hv::kMsrStimer0Config, Privilege::kAccessSyntheticTimerRegs>(),
    unwritable<hv::kMsrStimer3Count, Privilege::kAccessSyntheticTimerRegs>(),
    {hv::kMsrSimp, "moved outside of the GPA space: it is seen nowhere", kWorks,
     [] {
       const MsrOutcome outcome = write_and_read_back(hv::kMsrSimp, kOutside);
       machine::store_u64(kMessagePage, 0x1234);
       write_msr_now(hv::kMsrSimp, enabled(kMessagePage));
       GUEST_CHECK(machine::load_u64(kMessagePage) == 0);
       write_msr_now(hv::kMsrSimp, 0);
       GUEST_CHECK(machine::load_u64(kMessagePage) == 0x1234);
       return outcome;
     }},
};

}  // namespace

std::span<const MsrCase> hypercall_msr_cases() { return kHypercallCases; }
std::span<const MsrCase> time_msr_cases() { return kTimeCases; }
std::span<const MsrCase> other_msr_cases() { return kOtherCases; }
std::span<const MsrCase> privilege_msr_cases() { return kPrivilegeCases; }

}  // namespace interface_test
