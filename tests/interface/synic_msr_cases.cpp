// SCONTROL to SIRBP, SINT0 to SINT15, and the synthetic timers (TLFS "Synthetic Interrupt
// Controller", "Timers").
#include <cstring>

#include "machine/x86.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/communication_world.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using hv::SintRegister;
using hv::TimerConfig;

constexpr MsrOutcome kWorks = MsrOutcome::kWorks;
constexpr MsrOutcome kFaults = MsrOutcome::kFaults;

MsrOutcome holds(std::uint32_t msr, std::uint64_t value) {
  GUEST_CHECK(machine::read_msr(msr) == value);
  return kWorks;
}
std::uint64_t reference_time() { return machine::read_msr(hv::kMsrTimeRefCount); }

/// Starts timer 0 and waits for its message in the slot of a polled SINT, for 10 ms at most.
bool timer_message_comes(std::uint64_t flags, std::uint64_t count) {
  machine::write_msr(hv::kMsrSint0 + kUsedSint,
                     0x43 | SintRegister::kMasked | SintRegister::kPolling);
  machine::write_msr(hv::kMsrStimer0Config, TimerConfig::message(kUsedSint, flags).value);
  machine::write_msr(hv::kMsrStimer0Count, count);
  const std::uint64_t end = reference_time() + 100'000;
  while (reference_time() < end) {
    if (slot(kUsedSint).header.type == hv::MessageType::kTimerExpired) {
      return true;
    }
    machine::spend(10'000);
  }
  return false;
}
hv::TimerExpiredPayload timer_payload() {
  hv::TimerExpiredPayload payload;
  const hv::Message message = slot(kUsedSint);
  GUEST_CHECK(message.header.payload_size == sizeof(payload));
  GUEST_CHECK(message.header.origination == 0);
  std::memcpy(&payload, message.payload.data(), sizeof(payload));
  return payload;
}
bool timer_enabled() {
  return (machine::read_msr(hv::kMsrStimer0Config) & TimerConfig::kEnable) != 0;
}

constexpr std::uint32_t kUsed = hv::kMsrSint0 + kUsedSint;

constexpr MsrCase kSynic[] = {
    {hv::kMsrScontrol, "what was written", kWorks,
     [] { return holds(hv::kMsrScontrol, hv::kScontrolEnable); }},  // begin() enabled it
    {hv::kMsrScontrol, "all bits", kWorks,
     [] { return write_and_read_back(hv::kMsrScontrol, ~0ull); }},
    {hv::kMsrScontrol, "a message that waits while it is off", kWorks,
     [] {
       GUEST_CHECK(write(hv::kMsrScontrol, 0) == kWorks);
       GUEST_CHECK(!timer_message_comes(TimerConfig::kAutoEnable, reference_time() + 100));
       GUEST_CHECK(!timer_enabled());
       const MsrOutcome outcome = write(hv::kMsrScontrol, 1);
       GUEST_CHECK(slot(kUsedSint).header.type == hv::MessageType::kTimerExpired);
       return outcome;
     }},
    {hv::kMsrSversion, "the version", kWorks, [] { return holds(hv::kMsrSversion, 1); }},
    {hv::kMsrSversion, "a write", kFaults, [] { return write(hv::kMsrSversion, 1); }},
    {hv::kMsrSiefp, "preserved bits, and off", kWorks,
     [] { return write_and_read_back(hv::kMsrSiefp, 0x12'3FFE); }},
    {hv::kMsrSiefp, "a page outside of the GPA space", kWorks,
     [] { return write_and_read_back(hv::kMsrSiefp, 0xFFFF'FFFF'FFFF'F001); }},
    {hv::kMsrSimp, "preserved bits, and off", kWorks,
     [] { return write_and_read_back(hv::kMsrSimp, 0x12'3FFE); }},
    {hv::kMsrSimp, "a page outside of the GPA space", kWorks,
     [] { return write_and_read_back(hv::kMsrSimp, 0xFFFF'FFFF'FFFF'F001); }},
    {hv::kMsrSimp, "a page that moves with what it holds", kWorks,
     [] {
       GUEST_CHECK(timer_message_comes(TimerConfig::kAutoEnable, reference_time()));
       const MsrOutcome outcome =
           write(hv::kMsrSimp, hv::OverlayPageRegister(machine::Gpn(0x410), true).value());
       GUEST_CHECK(machine::load_u32(machine::Gpa(0x41'0000) + kUsedSint * 256) ==
                   static_cast<std::uint32_t>(hv::MessageType::kTimerExpired));
       GUEST_CHECK(machine::load_u32(kMessagePage + kUsedSint * 256) == 0);
       return outcome;
     }},
    {hv::kMsrEom, "reads as 0", kWorks, [] { return holds(hv::kMsrEom, 0); }},
    {hv::kMsrEom, "any value", kWorks,
     [] {
       const MsrOutcome outcome = write(hv::kMsrEom, ~0ull);
       GUEST_CHECK(machine::read_msr(hv::kMsrEom) == 0);
       return outcome;
     }},
    {hv::kMsrSirbp, "the root's, where the hypervisor put it", kWorks,
     [] {
       const std::uint64_t preset = machine::read_msr(hv::kMsrSirbp);
       GUEST_CHECK(preset != 0 && (preset & 1) == 0);
       return write_and_read_back(hv::kMsrSirbp, preset | 1);
     }},
    {hv::kMsrSirbp, "a child's, which is a register alone", kWorks,
     [] {
       GUEST_CHECK(machine::read_msr(hv::kMsrSirbp) == 0);
       return write_and_read_back(hv::kMsrSirbp, 0x40'5001);
     },
     Caller::kChild},
};

constexpr MsrCase kSints[] = {
    {hv::kMsrSint0, "reset value", kWorks,
     [] { return holds(hv::kMsrSint0, SintRegister::kReset); }},
    {hv::kMsrSint0, "the reset value written back", kWorks,
     [] { return write_and_read_back(hv::kMsrSint0, SintRegister::kReset); }},
    {hv::kMsrSint15, "reset value", kWorks,
     [] { return holds(hv::kMsrSint15, SintRegister::kReset); }},
    {hv::kMsrSint15, "every mode and preserved bit", kWorks,
     [] { return write_and_read_back(hv::kMsrSint15, 0xFFFF'FFFF'FFFF'FFFF); }},
    {kUsed, "vector 16", kWorks, [] { return write_and_read_back(kUsed, 16); }},
    {kUsed, "vector 15", kFaults,
     [] {
       const MsrOutcome outcome = write(kUsed, 15);
       GUEST_CHECK(machine::read_msr(kUsed) == SintRegister::kReset);
       return outcome;
     }},
    {kUsed, "vector 0 unmasked", kFaults, [] { return write(kUsed, 0); }},
    {kUsed, "vector 0 polled", kFaults, [] { return write(kUsed, SintRegister::kPolling); }},
    {kUsed, "vector 1 masked", kFaults, [] { return write(kUsed, SintRegister::kMasked | 1); }},
    {kUsed, "the proxy bit, preserved", kWorks,
     [] { return write_and_read_back(kUsed, 0x43 | SintRegister::kProxy); }},
    {kUsed, "intercepted: a message in SINT0 for the interrupt", kWorks,
     [] {
       open_sint(0);
       const MsrOutcome outcome = write(kUsed, 0x43 | SintRegister::kAsIntercept);
       machine::write_msr(hv::kMsrStimer0Config,
                          TimerConfig::message(kUsedSint, TimerConfig::kAutoEnable).value);
       machine::write_msr(hv::kMsrStimer0Count, 1);
       const hv::Message message = slot(0);
       GUEST_CHECK(message.header.type == hv::MessageType::kSynicSintIntercept);
       GUEST_CHECK(message.header.payload_size == 4);
       GUEST_CHECK(static_cast<std::uint32_t>(message.payload[0]) == kUsedSint);
       GUEST_CHECK(slot(kUsedSint).header.type == hv::MessageType::kTimerExpired);
       return outcome;
     }},
    {kUsed, "auto-EOI: the vector does not stay in service", kWorks,
     [] {
       machine::set_interrupt_handler(0x43, [](const machine::InterruptFrame&) {});
       const MsrOutcome outcome = write(kUsed, 0x43 | SintRegister::kAutoEoi);
       machine::write_msr(hv::kMsrStimer0Config,
                          TimerConfig::message(kUsedSint, TimerConfig::kAutoEnable).value);
       machine::write_msr(hv::kMsrStimer0Count, 1);
       machine::sti_hlt();
       GUEST_CHECK(slot(kUsedSint).header.type == hv::MessageType::kTimerExpired);
       for (std::uint32_t word = 0; word < 8; ++word) {
         GUEST_CHECK(machine::read_msr(machine::x86::kX2ApicIsr0 + word) == 0);
       }
       return outcome;
     }},
};

constexpr MsrCase kTimers[] = {
    {hv::kMsrStimer0Config, "reset value", kWorks, [] { return holds(hv::kMsrStimer0Config, 0); }},
    {hv::kMsrStimer0Config, "a reserved bit", kFaults,
     [] {
       const MsrOutcome outcome = write(hv::kMsrStimer0Config, 1ull << 13);
       GUEST_CHECK(machine::read_msr(hv::kMsrStimer0Config) == 0);
       return outcome;
     }},
    {hv::kMsrStimer0Config, "bit 63", kFaults,
     [] { return write(hv::kMsrStimer0Config, 1ull << 63); }},
    {hv::kMsrStimer0Config, "enabled with SINT 0 and not direct: it is not", kWorks,
     [] {
       const MsrOutcome outcome = write(hv::kMsrStimer0Config, TimerConfig::kEnable);
       GUEST_CHECK(machine::read_msr(hv::kMsrStimer0Config) == 0);
       return outcome;
     }},
    {hv::kMsrStimer0Config, "enabled before there is a count: it waits", kWorks,
     [] {
       const std::uint64_t config =
           TimerConfig::direct(0xED, TimerConfig::kEnable | TimerConfig::kAutoEnable).value;
       const MsrOutcome outcome = write_and_read_back(hv::kMsrStimer0Config, config);
       machine::spend(1'000'000);
       GUEST_CHECK(timer_enabled());
       return outcome;
     }},
    {hv::kMsrStimer0Config, "direct with a vector below 16: no interrupt", kWorks,
     [] {
       const MsrOutcome outcome =
           write(hv::kMsrStimer0Config, TimerConfig::direct(15, TimerConfig::kAutoEnable).value);
       machine::write_msr(hv::kMsrStimer0Count, 1);
       GUEST_CHECK(!timer_enabled());
       for (std::uint32_t word = 0; word < 8; ++word) {
         GUEST_CHECK(machine::read_msr(machine::x86::kX2ApicIrr0 + word) == 0);
       }
       return outcome;
     }},
    {hv::kMsrStimer0Count, "0 stops a timer, whatever auto-enable says", kWorks,
     [] {
       machine::write_msr(hv::kMsrStimer0Config,
                          TimerConfig::direct(0xED, TimerConfig::kAutoEnable).value);
       machine::write_msr(hv::kMsrStimer0Count, reference_time() + 10'000'000);
       GUEST_CHECK(timer_enabled());
       const MsrOutcome outcome = write_and_read_back(hv::kMsrStimer0Count, 0);
       GUEST_CHECK(!timer_enabled());
       return outcome;
     }},
    {hv::kMsrStimer0Count, "a time that is past: at once", kWorks,
     [] {
       GUEST_CHECK(timer_message_comes(TimerConfig::kAutoEnable, 1));
       GUEST_CHECK(timer_payload().expiration_time_100ns == 1);
       GUEST_CHECK(timer_payload().timer_index == 0);
       GUEST_CHECK(!timer_enabled());
       return holds(hv::kMsrStimer0Count, 1);
     }},
    {hv::kMsrStimer0Count, "a time to come: then and not before", kWorks,
     [] {
       const std::uint64_t due = reference_time() + 5'000;
       GUEST_CHECK(timer_message_comes(TimerConfig::kAutoEnable, due));
       GUEST_CHECK(reference_time() >= due);
       GUEST_CHECK(timer_payload().expiration_time_100ns == due);
       GUEST_CHECK(timer_payload().delivery_time_100ns >= due);
       return holds(hv::kMsrStimer0Count, due);
     }},
    {hv::kMsrStimer0Count, "a period of 1, whose slot is never emptied", kWorks,
     [] {
       GUEST_CHECK(timer_message_comes(TimerConfig::kAutoEnable | TimerConfig::kPeriodic, 1));
       machine::spend(1'000'000);
       GUEST_CHECK(timer_enabled());
       return holds(hv::kMsrStimer0Count, 1);
     }},
    {hv::kMsrStimer0Count, "a period of 2^64 - 1", kWorks,
     [] {
       GUEST_CHECK(!timer_message_comes(TimerConfig::kAutoEnable | TimerConfig::kPeriodic, ~0ull));
       GUEST_CHECK(timer_enabled());
       return holds(hv::kMsrStimer0Count, ~0ull);
     }},
    {hv::kMsrStimer0Count, "a masked SINT: the message waits for EOM", kWorks,
     [] {
       machine::write_msr(kUsed, 0x43 | SintRegister::kMasked);
       machine::write_msr(hv::kMsrStimer0Config,
                          TimerConfig::message(kUsedSint, TimerConfig::kAutoEnable).value);
       const MsrOutcome outcome = write(hv::kMsrStimer0Count, 1);
       GUEST_CHECK(slot(kUsedSint).header.type == hv::MessageType::kNone);
       machine::write_msr(hv::kMsrEom, 0);
       GUEST_CHECK(slot(kUsedSint).header.type == hv::MessageType::kTimerExpired);
       return outcome;
     }},
    {hv::kMsrStimer3Count, "the last timer's count", kWorks,
     [] { return write_and_read_back(hv::kMsrStimer3Count, 0x1234'5678'9ABC'DEF0); }},
    {hv::kMsrStimer3Count - 1, "the last timer's reserved bit", kFaults,
     [] { return write(hv::kMsrStimer3Count - 1, 1u << 20); }},
};

}  // namespace

std::span<const MsrCase> synic_msr_cases() { return kSynic; }
std::span<const MsrCase> sint_msr_cases() { return kSints; }
std::span<const MsrCase> timer_msr_cases() { return kTimers; }

}  // namespace interface_test
