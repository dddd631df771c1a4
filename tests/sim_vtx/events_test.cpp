// Injection, windows, priorities, the preemption timer (SDM vol. 3 25.2, 25.5.1, 26.6, 6.9).
#include <catch2/catch.hpp>

#include "tests/sim_vtx/test_processor.h"

using namespace sim_vtx_test;
using P = TestProcessor&;

namespace {

constexpr PendingSignals kNothing{};
constexpr PendingSignals kInterrupt{.external_interrupt = true};
constexpr PendingSignals kNmi{.nmi = true};
constexpr PendingSignals kBoth{.external_interrupt = true, .nmi = true};
constexpr std::uint64_t kNever = ~std::uint64_t{0};

constexpr std::uint32_t kWindow = vmx::kInterruptWindowExiting;
constexpr std::uint32_t kNmiWindow = vmx::kNmiWindowExiting;
constexpr std::uint32_t kExitAll =
    vmx::kPinExternalInterruptExiting | vmx::kPinNmiExiting | vmx::kPinVirtualNmis;
constexpr std::uint32_t kExitNmis = vmx::kPinNmiExiting;

struct Row {
  std::uint32_t pin;
  std::uint32_t windows;
  bool interrupts_enabled;
  std::uint32_t blocking;
  std::uint32_t activity;
  PendingSignals pending;
  NextEvent expected;
};

void prepare(P p, const Row& row) {
  p.write(Vmcs32::kPinBasedControls, p.capabilities.pin_based.required | row.pin);
  p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitSavePreemptionTimer);
  p.set_bits(Vmcs32::kProcessorBasedControls, row.windows);
  if (!row.interrupts_enabled) {
    p.clear_bits(VmcsNatural::kGuestRflags, x86::kRflagsIf);
  }
  p.write(Vmcs32::kGuestInterruptibilityState, row.blocking);
  p.write(Vmcs32::kGuestActivityState, row.activity);
}

}  // namespace

TEST_CASE("what comes before the next instruction follows priority and blocking", "[vtx][events]") {
  using enum NextEvent;
  constexpr auto kSti = vmx::kBlockingBySti;
  constexpr auto kMovSs = vmx::kBlockingByMovSs;
  constexpr auto kByNmi = vmx::kBlockingByNmi;
  constexpr auto kHlt = vmx::kActivityHlt;
  constexpr auto kShutdown = vmx::kActivityShutdown;
  constexpr auto kSipi = vmx::kActivityWaitForSipi;
  static constexpr auto kRows = std::to_array<Row>({
      // External interrupts that exit do so whatever IF and the shadows say.
      {kExitAll, 0, true, 0, 0, kNothing, kNone},
      {kExitAll, 0, true, 0, 0, kInterrupt, kExitExternalInterrupt},
      {kExitAll, 0, false, 0, 0, kInterrupt, kExitExternalInterrupt},
      {kExitAll, 0, true, kSti, 0, kInterrupt, kExitExternalInterrupt},
      {kExitAll, 0, true, 0, kHlt, kInterrupt, kExitExternalInterrupt},
      {kExitAll, 0, true, 0, kShutdown, kInterrupt, kNone},
      {kExitAll, 0, true, 0, kSipi, kInterrupt, kNone},
      // Those that do not are delivered when the guest takes interrupts.
      {0, 0, true, 0, 0, kInterrupt, kDeliverExternalInterrupt},
      {0, 0, false, 0, 0, kInterrupt, kNone},
      {0, 0, true, kSti, 0, kInterrupt, kNone},
      {0, 0, true, kMovSs, 0, kInterrupt, kNone},
      {0, 0, true, 0, kHlt, kInterrupt, kDeliverExternalInterrupt},
      {0, 0, true, 0, kShutdown, kInterrupt, kNone},
      // The interrupt window opens with IF and without a shadow, before external interrupts.
      {kExitAll, kWindow, true, 0, 0, kNothing, kExitInterruptWindow},
      {kExitAll, kWindow, true, 0, 0, kInterrupt, kExitInterruptWindow},
      {0, kWindow, true, 0, 0, kInterrupt, kExitInterruptWindow},
      {kExitAll, kWindow, false, 0, 0, kNothing, kNone},
      {kExitAll, kWindow, false, 0, 0, kInterrupt, kExitExternalInterrupt},
      {kExitAll, kWindow, true, kSti, 0, kNothing, kNone},
      {kExitAll, kWindow, true, kMovSs, 0, kNothing, kNone},
      {kExitAll, kWindow, true, 0, kHlt, kNothing, kExitInterruptWindow},
      {kExitAll, kWindow, true, 0, kShutdown, kNothing, kNone},
      {kExitAll, kWindow, true, kByNmi, 0, kNothing, kExitInterruptWindow},
      // NMIs come before windows and interrupts.
      {kExitAll, kWindow, true, 0, 0, kBoth, kExitNmi},
      {kExitAll, 0, false, kByNmi, 0, kNmi, kExitNmi},  // virtual NMIs do not block real ones
      {kExitAll, 0, true, kMovSs, 0, kNmi, kNone},
      {kExitAll, 0, true, 0, kShutdown, kNmi, kExitNmi},
      {kExitAll, 0, true, 0, kSipi, kNmi, kNone},
      {kExitNmis, 0, true, 0, 0, kNmi, kExitNmi},
      {kExitNmis, 0, true, kByNmi, 0, kNmi, kNone},
      {0, 0, true, 0, 0, kNmi, kDeliverNmi},
      {0, 0, true, kByNmi, 0, kNmi, kNone},
      {0, 0, true, kByNmi, 0, kBoth, kDeliverExternalInterrupt},
      {0, 0, false, 0, kHlt, kBoth, kDeliverNmi},
      // The NMI window opens when virtual NMIs are not blocked, before NMIs.
      {kExitAll, kNmiWindow, false, 0, 0, kNothing, kExitNmiWindow},
      {kExitAll, kNmiWindow, false, 0, 0, kBoth, kExitNmiWindow},
      {kExitAll, kNmiWindow, false, kByNmi, 0, kNothing, kNone},
      {kExitAll, kNmiWindow, false, kMovSs, 0, kNothing, kNone},
      {kExitAll, kNmiWindow | kWindow, true, 0, 0, kNothing, kExitNmiWindow},
      {kExitAll, kNmiWindow | kWindow, true, kByNmi, 0, kNothing, kExitInterruptWindow},
      {kExitAll, kNmiWindow, true, 0, kShutdown, kNothing, kExitNmiWindow},
      {kExitAll, kNmiWindow, true, 0, kSipi, kNothing, kNone},
  });
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    INFO("row " << i);
    TestProcessor p;
    prepare(p, kRows[i]);
    REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
    CHECK(p.cpu.next_event(kRows[i].pending, 0) == kRows[i].expected);
  }
}

TEST_CASE("exits for events carry what interrupted", "[vtx][events]") {
  TestProcessor p;
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.acknowledges_interrupts());
  CHECK(p.cpu.exit_for(NextEvent::kExitExternalInterrupt, 0x51) ==
        Exit{.reason = ExitReason::kExternalInterrupt, .interruption_information = 0x8000'0051});
  CHECK(p.cpu.exit_for(NextEvent::kExitNmi) ==
        Exit{.reason = ExitReason::kExceptionOrNmi, .interruption_information = 0x8000'0202});
  CHECK(p.cpu.exit_for(NextEvent::kExitInterruptWindow).reason == ExitReason::kInterruptWindow);
  CHECK(p.cpu.exit_for(NextEvent::kExitNmiWindow).reason == ExitReason::kNmiWindow);
  CHECK(p.cpu.exit_for(NextEvent::kExitPreemptionTimer).reason == ExitReason::kPreemptionTimer);
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitAcknowledgeInterrupt);
  REQUIRE(p.resume().outcome == EntryOutcome::kEntered);
  CHECK_FALSE(p.cpu.acknowledges_interrupts());
  CHECK(p.cpu.exit_for(NextEvent::kExitExternalInterrupt, 0x51).interruption_information == 0);
  CHECK(p.platform.misuses.empty());
}

TEST_CASE("an entry hands out the injected event", "[vtx][events][injection]") {
  struct Injection {
    std::uint32_t information;
    std::uint32_t error_code;
    std::uint32_t length;
    Event event;
  };
  static constexpr auto kRows = std::to_array<Injection>({
      {0x8000'0030, 7, 7, {.type = EventType::kExternalInterrupt, .vector = 0x30}},
      {0x8000'0202, 0, 0, {.type = EventType::kNmi, .vector = 2}},
      {0x8000'0306, 0, 0, {.type = EventType::kHardwareException, .vector = 6}},
      {0x8000'0B0D,
       0x18,
       0,
       {.type = EventType::kHardwareException,
        .vector = 13,
        .has_error_code = true,
        .error_code = 0x18}},
      {0x8000'0480,
       0,
       2,
       {.type = EventType::kSoftwareInterrupt, .vector = 0x80, .instruction_length = 2}},
      {0x8000'0603,
       0,
       1,
       {.type = EventType::kSoftwareException, .vector = 3, .instruction_length = 1}},
  });
  for (const Injection& row : kRows) {
    INFO(std::hex << row.information);
    TestProcessor p;
    p.write(Vmcs32::kVmEntryInterruptionInformation, row.information);
    p.write(Vmcs32::kVmEntryExceptionErrorCode, row.error_code);
    p.write(Vmcs32::kVmEntryInstructionLength, row.length);
    const EntryResult result = p.launch();
    CHECK(result.outcome == EntryOutcome::kEntered);
    CHECK(result.event == row.event);
    CHECK(interruption_information(row.event) == row.information);
  }
}

TEST_CASE("an injected interrupt wakes a halted guest and runs with interrupts disabled",
          "[vtx][events][injection]") {
  TestProcessor p;
  p.write(Vmcs32::kGuestActivityState, vmx::kActivityHlt);
  p.inject(vmx::kEventTypeExternalInterrupt, 0x30);
  const EntryResult result = p.launch();
  REQUIRE(result.event);
  CHECK(p.cpu.guest().activity == vmx::kActivityActive);
  CHECK(p.cpu.interrupts_enabled());
  p.cpu.event_delivered(*result.event);
  CHECK_FALSE(p.cpu.interrupts_enabled());
}

TEST_CASE("an exit in the middle of a delivery hands the event back", "[vtx][events][injection]") {
  TestProcessor p;
  p.inject(vmx::kEventTypeHardwareException, x86::kVectorPageFault, vmx::kEventErrorCodeValid);
  p.write(Vmcs32::kVmEntryExceptionErrorCode, 2);
  const EntryResult result = p.launch();
  REQUIRE(result.event);
  p.cpu.exit(while_delivering({.reason = ExitReason::kEptViolation}, *result.event), 0);
  CHECK(p.read(VmcsReadOnly32::kIdtVectoringInformation) == 0x8000'0B0E);
  CHECK(p.read(VmcsReadOnly32::kIdtVectoringErrorCode) == 2);
  CHECK(p.read(VmcsReadOnly32::kExitReason) == 48);
}

TEST_CASE("delivery ends the shadows, and an NMI blocks NMIs until IRET", "[vtx][events]") {
  TestProcessor p;
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  p.cpu.guest().interruptibility = vmx::kBlockingBySti;
  p.cpu.event_delivered({.type = EventType::kNmi, .vector = 2});
  CHECK(p.cpu.guest().interruptibility == vmx::kBlockingByNmi);
  p.cpu.iret();
  CHECK(p.cpu.guest().interruptibility == 0);
  const std::uint64_t rip = p.cpu.guest().rip;
  p.cpu.event_delivered(
      {.type = EventType::kSoftwareInterrupt, .vector = 0x80, .instruction_length = 2});
  CHECK(p.cpu.guest().rip == rip + 2);
}

TEST_CASE("the preemption timer counts TSC bit changes and is saved if asked", "[vtx][timer]") {
  const bool saves = GENERATE(true, false);
  TestProcessor p;
  REQUIRE(p.capabilities.preemption_timer_shift() == 5);
  if (!saves) {
    p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitSavePreemptionTimer);
  }
  p.write(Vmcs32::kPreemptionTimerValue, 10);
  REQUIRE(p.launch(1000).outcome == EntryOutcome::kEntered);
  // TSC bit 5 changes at multiples of 32: 1000 is in the 31st interval.
  CHECK(p.cpu.preemption_deadline_tsc() == (31 + 10) * 32);
  CHECK(p.cpu.next_event(kNothing, 41 * 32 - 1) == NextEvent::kNone);
  CHECK(p.cpu.next_event(kNothing, 41 * 32) == NextEvent::kExitPreemptionTimer);
  CHECK(p.cpu.next_event(kBoth, 41 * 32) == NextEvent::kExitPreemptionTimer);
  p.cpu.exit({.reason = ExitReason::kCpuid}, 1000 + 3 * 32);
  CHECK(p.cpu.preemption_deadline_tsc() == kNever);
  CHECK(p.read(Vmcs32::kPreemptionTimerValue) == (saves ? 7u : 10u));
  REQUIRE(p.resume(2000).outcome == EntryOutcome::kEntered);
  p.cpu.exit(p.cpu.exit_for(NextEvent::kExitPreemptionTimer), 99999);
  CHECK(p.read(Vmcs32::kPreemptionTimerValue) == (saves ? 0u : 10u));
}

TEST_CASE("a preemption timer of 0 expires at once, and none never", "[vtx][timer]") {
  TestProcessor p;
  p.write(Vmcs32::kPreemptionTimerValue, 0);
  REQUIRE(p.launch(1000).outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.next_event(kNothing, 1000) == NextEvent::kExitPreemptionTimer);
  p.cpu.exit({.reason = ExitReason::kPreemptionTimer}, 1000);
  p.clear_bits(Vmcs32::kPinBasedControls, vmx::kPinPreemptionTimer);
  p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitSavePreemptionTimer);
  REQUIRE(p.resume(1000).outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.preemption_deadline_tsc() == kNever);
  CHECK(p.cpu.next_event(kNothing, kNever - 1) == NextEvent::kNone);
}

TEST_CASE("a timer that expired while the processor waits for SIPI waits too", "[vtx][timer]") {
  TestProcessor p;
  p.write(Vmcs32::kPreemptionTimerValue, 0);
  p.write(Vmcs32::kGuestActivityState, vmx::kActivityWaitForSipi);
  REQUIRE(p.launch(1000).outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.next_event(kBoth, 5000) == NextEvent::kNone);
}
