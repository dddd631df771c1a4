// The MSRs of the local APIC: the synthetic ones (TLFS "Synthetic MSRs for Interrupt Control") and
// the architecture's (SDM vol. 3 chapter 10).
#include "hv/hypervisor_limits.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/communication_world.h"
#include "tests/interface/partition_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
namespace x86 = machine::x86;
constexpr MsrOutcome kWorks = MsrOutcome::kWorks;
constexpr MsrOutcome kFaults = MsrOutcome::kFaults;

constexpr std::uint8_t kVector = 0x77;
constexpr machine::Gpa kAssistPage{0x40'6000};
constexpr std::uint64_t kX2ApicBase =
    0xFEE0'0000 | x86::kApicBaseBsp | x86::kApicBaseEnable | x86::kApicBaseX2ApicEnable;

/// The handler leaves its interrupt in service.
void take_interrupt() {
  machine::set_interrupt_handler(kVector, [](const machine::InterruptFrame&) {});
  machine::write_msr(x86::kX2ApicSelfIpi, kVector);
  machine::enable_interrupts();
  static_cast<void>(machine::disable_interrupts());
}
/// Takes the interrupt of a message likewise.
void take_pending() {
  machine::set_interrupt_handler(0x40 + kUsedSint, [](const machine::InterruptFrame&) {});
  machine::enable_interrupts();
  static_cast<void>(machine::disable_interrupts());
}
bool is_set(std::uint32_t first_msr) {
  return ((machine::read_msr(first_msr + kVector / 32) >> (kVector % 32)) & 1) != 0;
}

/// A child without the privilege AccessIntrCtrlRegs.
void take_privilege(hv::PartitionId child) {
  constexpr auto kRegisters = static_cast<std::uint64_t>(hv::Privilege::kAccessIntrCtrlRegs);
  GUEST_CHECK(set_property(child, hv::PartitionProperty::kPrivilegeFlags,
                           hv::kGuestPrivilegeBits & ~kRegisters) == hv::Status::kSuccess);
}

// --- The time-unhalted timer -------------------------------------------------------------------

using Unhalted = hv::UnhaltedTimerConfig;
constexpr machine::Gpa kExpirations{0x40'5100};
constexpr std::uint64_t kPeriod_100ns = 20'000;  // longer than a processor stalls
constexpr std::uint64_t kPeriodNs = kPeriod_100ns * 100;

std::uint32_t expirations() { return machine::load_u32(kExpirations); }

/// Counts what comes with a vector.
void count_expirations(std::uint8_t vector) {
  machine::set_interrupt_handler(vector, [](const machine::InterruptFrame& frame) {
    machine::store_u32(kExpirations, expirations() + 1);
    if (frame.vector != Unhalted::kNmi) {
      machine::write_msr(x86::kX2ApicEoi, 0);
    }
  });
  machine::enable_interrupts();
}

/// It has a period, and begins it with a write to CONFIG.
MsrOutcome enable_unhalted(std::uint8_t vector) {
  count_expirations(vector);
  machine::write_msr(hv::kMsrUnhaltedTimerCount, kPeriod_100ns);
  return write_and_read_back(hv::kMsrUnhaltedTimerConfig, Unhalted::kEnable | vector);
}

void take_timer_privilege(hv::PartitionId child) {
  constexpr auto kRegisters = static_cast<std::uint64_t>(hv::Privilege::kAccessSyntheticTimerRegs);
  GUEST_CHECK(set_property(child, hv::PartitionProperty::kPrivilegeFlags,
                           hv::kGuestPrivilegeBits & ~kRegisters) == hv::Status::kSuccess);
}

constexpr MsrCase kUnhaltedCases[] = {
    {hv::kMsrUnhaltedTimerConfig, "a vector, which comes once a period of running", kWorks,
     [] {
       const std::uint64_t before = machine::read_msr(hv::kMsrVpRuntime);
       const MsrOutcome outcome = enable_unhalted(kVector);
       std::uint64_t periods = 0;
       while (periods < 10) {
         machine::spend(kPeriodNs / 5);
         const std::uint32_t seen = expirations();
         periods = (machine::read_msr(hv::kMsrVpRuntime) - before) / kPeriod_100ns;
         GUEST_CHECK(seen <= periods && seen + 2 >= periods);
       }
       return outcome;
     }},
    {hv::kMsrUnhaltedTimerConfig, "an NMI, and interrupts disabled", kWorks,
     [] {
       const MsrOutcome outcome = enable_unhalted(Unhalted::kNmi);
       static_cast<void>(machine::disable_interrupts());
       machine::spend(3 * kPeriodNs);
       GUEST_CHECK(expirations() >= 1);
       return outcome;
     }},
    {hv::kMsrUnhaltedTimerConfig, "its expiration in the assist page", kWorks,
     [] {
       machine::write_msr(hv::kMsrVpAssistPage,
                          hv::OverlayPageRegister(kAssistPage.page(), true).value());
       const MsrOutcome outcome = enable_unhalted(kVector);
       GUEST_CHECK(machine::load_u8(kAssistPage + Unhalted::kExpiredOffset) == 0);
       machine::spend(2 * kPeriodNs);
       GUEST_CHECK(machine::load_u8(kAssistPage + Unhalted::kExpiredOffset) == 1);
       return outcome;
     }},
    {hv::kMsrUnhaltedTimerConfig, "time that is spent halted, which does not count", kWorks,
     [] {
       machine::set_interrupt_handler(kVector + 1, [](const machine::InterruptFrame&) {
         machine::write_msr(x86::kX2ApicEoi, 0);
       });
       machine::write_msr(x86::kX2ApicLvtTimer, x86::kLvtTimerTscDeadline | (kVector + 1));
       const MsrOutcome outcome = enable_unhalted(kVector);
       static_cast<void>(machine::disable_interrupts());
       constexpr std::uint64_t kTicksOfTenPeriods = 50'000'000;
       machine::write_msr(x86::kMsrTscDeadline, machine::read_tsc() + kTicksOfTenPeriods);
       machine::sti_hlt();
       GUEST_CHECK(expirations() == 0);
       machine::enable_interrupts();
       for (int half = 0; half < 4; ++half) {
         machine::spend(kPeriodNs / 2);
       }
       GUEST_CHECK(expirations() >= 1);
       return outcome;
     }},
    {hv::kMsrUnhaltedTimerConfig, "disabled, with any vector", kWorks,
     [] { return write_and_read_back(hv::kMsrUnhaltedTimerConfig, 5); }},
    {hv::kMsrUnhaltedTimerConfig, "enabled with an exception's vector", kFaults,
     [] {
       const MsrOutcome outcome = write(hv::kMsrUnhaltedTimerConfig, Unhalted::kEnable | 15);
       GUEST_CHECK(machine::read_msr(hv::kMsrUnhaltedTimerConfig) == 0);
       return outcome;
     }},
    {hv::kMsrUnhaltedTimerConfig, "a reserved bit", kFaults,
     [] { return write(hv::kMsrUnhaltedTimerConfig, 1u << 9); }},
    {hv::kMsrUnhaltedTimerConfig, "a child without the privilege", kFaults,
     [] { return read(hv::kMsrUnhaltedTimerConfig); }, Caller::kChild, nullptr, nullptr,
     take_timer_privilege},
    {hv::kMsrUnhaltedTimerCount, "0, which stops it", kWorks,
     [] {
       GUEST_CHECK(enable_unhalted(kVector) == kWorks);
       const MsrOutcome outcome = write_and_read_back(hv::kMsrUnhaltedTimerCount, 0);
       machine::spend(3 * kPeriodNs);
       GUEST_CHECK(expirations() == 0);
       return outcome;
     }},
    {hv::kMsrUnhaltedTimerCount, "a period that never ends", kWorks,
     [] {
       GUEST_CHECK(enable_unhalted(kVector) == kWorks);
       const MsrOutcome outcome = write_and_read_back(hv::kMsrUnhaltedTimerCount, ~0ull);
       machine::spend(3 * kPeriodNs);
       GUEST_CHECK(expirations() == 0);
       return outcome;
     }},
    {hv::kMsrUnhaltedTimerCount, "a child without the privilege", kFaults,
     [] { return write(hv::kMsrUnhaltedTimerCount, 1); }, Caller::kChild, nullptr, nullptr,
     take_timer_privilege},
};

constexpr MsrCase kCases[] = {
    {hv::kMsrEoi, "a write ends the interrupt in service", kWorks,
     [] {
       take_interrupt();
       GUEST_CHECK(is_set(x86::kX2ApicIsr0));
       const MsrOutcome outcome = write(hv::kMsrEoi, 0x1234);
       GUEST_CHECK(!is_set(x86::kX2ApicIsr0));
       return outcome;
     }},
    {hv::kMsrEoi, "a write with nothing in service", kWorks, [] { return write(hv::kMsrEoi, 0); }},
    {hv::kMsrEoi, "a read", kFaults, [] { return read(hv::kMsrEoi); }},
    {hv::kMsrEoi, "a write to the upper half", kFaults,
     [] { return write(hv::kMsrEoi, 1ull << 32); }},
    {hv::kMsrEoi, "a child without the privilege", kFaults, [] { return write(hv::kMsrEoi, 0); },
     Caller::kChild, nullptr, nullptr, take_privilege},

    {hv::kMsrIcr, "a write sends an IPI, its destination in 63:56", kWorks,
     [] {
       const MsrOutcome outcome = write_and_read_back(hv::kMsrIcr, kVector);
       GUEST_CHECK(is_set(x86::kX2ApicIrr0));
       return outcome;
     }},
    {hv::kMsrIcr, "a destination that is nobody's", kWorks,
     [] {
       const MsrOutcome outcome = write_and_read_back(hv::kMsrIcr, (5ull << 56) | kVector);
       GUEST_CHECK(!is_set(x86::kX2ApicIrr0));
       return outcome;
     }},
    {hv::kMsrIcr, "a reserved bit", kFaults, [] { return write(hv::kMsrIcr, 1u << 20); }},
    {hv::kMsrIcr, "a child without the privilege", kFaults, [] { return read(hv::kMsrIcr); },
     Caller::kChild, nullptr, nullptr, take_privilege},

    {hv::kMsrTpr, "a priority, which is the APIC's", kWorks,
     [] {
       const MsrOutcome outcome = write_and_read_back(hv::kMsrTpr, 0x5F);
       GUEST_CHECK(machine::read_msr(x86::kX2ApicTpr) == 0x5F);
       return outcome;
     }},
    {hv::kMsrTpr, "more than 8 bits", kFaults, [] { return write(hv::kMsrTpr, 0x100); }},
    {hv::kMsrTpr, "a child without the privilege", kFaults, [] { return read(hv::kMsrTpr); },
     Caller::kChild, nullptr, nullptr, take_privilege},

    {hv::kMsrVpAssistPage, "a page, which then lies over the guest's", kWorks,
     [] {
       machine::store_u32(kAssistPage, 7);
       const MsrOutcome outcome = write_and_read_back(
           hv::kMsrVpAssistPage, hv::OverlayPageRegister(kAssistPage.page(), true).value());
       GUEST_CHECK(machine::load_u32(kAssistPage) == 0);
       GUEST_CHECK(write(hv::kMsrVpAssistPage, 0) == kWorks);
       GUEST_CHECK(machine::load_u32(kAssistPage) == 7);
       return outcome;
     }},
    {hv::kMsrVpAssistPage, "an interrupt that is ended there: the next message comes, as with EOI",
     kWorks,
     [] {
       open_sint(kUsedSint);
       const MsrOutcome outcome =
           write(hv::kMsrVpAssistPage, hv::OverlayPageRegister(kAssistPage.page(), true).value());
       for (const std::uint32_t number : {1u, 2u}) {
         GUEST_CHECK(post(number) == hv::Status::kSuccess);
       }
       take_pending();
       GUEST_CHECK(static_cast<std::uint32_t>(slot(kUsedSint).payload[0]) == 1);
       machine::store_u32(kMessagePage + kUsedSint * hv::kMessageSlotBytes, 0);
       GUEST_CHECK((machine::exchange_u32(kAssistPage, 0) & 1) == 1);
       machine::sti_hlt();  // it asks for an interrupt, too
       GUEST_CHECK(static_cast<std::uint32_t>(slot(kUsedSint).payload[0]) == 2);
       return outcome;
     },
     Caller::kChild,
     [](const child_maker::Child& child) {
       make_path(child.id, child.id, hv::PortInfo::message(kUsedSint, hv::VpIndex{0}));
     }},
    {hv::kMsrVpAssistPage, "the root's, where the hypervisor put it", kWorks,
     [] {
       const std::uint64_t preset = machine::read_msr(hv::kMsrVpAssistPage);
       GUEST_CHECK(preset != 0 && (preset & 1) == 0);
       const MsrOutcome outcome = write_and_read_back(hv::kMsrVpAssistPage, preset | 1);
       GUEST_CHECK(machine::load_u32(machine::Gpa(preset)) == 0);
       return outcome;
     }},
    {hv::kMsrVpAssistPage, "a page beyond the GPA space, which nobody sees", kWorks,
     [] { return write_and_read_back(hv::kMsrVpAssistPage, ~0xFFEull); }},
    {hv::kMsrVpAssistPage, "a child without the privilege", kFaults,
     [] { return read(hv::kMsrVpAssistPage); }, Caller::kChild, nullptr, nullptr, take_privilege},

    {x86::kMsrApicBase, "what it is", kWorks,
     [] { return write_and_read_back(x86::kMsrApicBase, kX2ApicBase); }},
    {x86::kMsrApicBase, "disabled", kWorks,
     [] {
       return write_and_read_back(
           x86::kMsrApicBase, kX2ApicBase & ~(x86::kApicBaseEnable | x86::kApicBaseX2ApicEnable));
     }},
    {x86::kMsrApicBase, "from x2APIC to xAPIC", kFaults,
     [] { return write(x86::kMsrApicBase, kX2ApicBase & ~x86::kApicBaseX2ApicEnable); }},
    {x86::kMsrApicBase, "x2APIC but disabled", kFaults,
     [] { return write(x86::kMsrApicBase, kX2ApicBase & ~x86::kApicBaseEnable); }},
    {x86::kMsrApicBase, "another page", kFaults,
     [] { return write(x86::kMsrApicBase, kX2ApicBase + 0x1000); }},
    {x86::kMsrApicBase, "a reserved bit", kFaults,
     [] { return write(x86::kMsrApicBase, kX2ApicBase | 1); }},

    {x86::kX2ApicFirst, "the vector table for corrected machine checks", kWorks,
     [] { return write_and_read_back(x86::kX2ApicLvtCmci, 0x10055); }},
    {x86::kX2ApicFirst, "a divide value of the timer", kWorks,
     [] { return write_and_read_back(x86::kX2ApicTimerDivide, 0xB); }},
    {x86::kX2ApicFirst, "a read-only register", kFaults,
     [] { return write(x86::kX2ApicVersion, 0); }},
    {x86::kX2ApicFirst, "a register that x2APICs do not have", kFaults,
     [] { return read(x86::kX2ApicFirst + 0xE); }},
    {x86::kX2ApicFirst, "a reserved bit of a vector table", kFaults,
     [] { return write(x86::kX2ApicLvtTimer, 1u << 19); }},

    {x86::kMsrTscDeadline, "a deadline, in that mode of the timer", kWorks,
     [] {
       machine::write_msr(x86::kX2ApicLvtTimer, x86::kLvtTimerTscDeadline | kVector);
       return write_and_read_back(x86::kMsrTscDeadline, ~1ull);
     }},
    {x86::kMsrTscDeadline, "a deadline in another mode, which is ignored", kWorks,
     [] {
       const MsrOutcome outcome = write(x86::kMsrTscDeadline, 1);
       GUEST_CHECK(machine::read_msr(x86::kMsrTscDeadline) == 0);
       return outcome;
     }},
};

}  // namespace

std::span<const MsrCase> apic_msr_cases() { return kCases; }
std::span<const MsrCase> unhalted_timer_msr_cases() { return kUnhaltedCases; }

}  // namespace interface_test
