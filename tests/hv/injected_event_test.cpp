// What a memory intercept tells, and what becomes of an event that was on its way when it came
// (TLFS "Intercepts", SDM vol. 3 27.2.3), on the whole hypervisor in the simulator.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <span>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/intercept_slot.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::InterceptHeader;
using hv::PendingInterruption;
using hv::RegisterName;
using hv::Status;
using machine::Gpn;

void child() {
  begin();
  machine::store_u32(child_maker::kSharedWord, 1);
  machine::store_u32(child_maker::kHole, 1);
  end(99);
}

/// While an event is delivered, and when the fetch is what is refused, there is no instruction.
void require_no_instruction(const hv::MemoryIntercept& intercept) {
  GUEST_CHECK(intercept.instruction_byte_count == 0);
  GUEST_CHECK(std::ranges::all_of(intercept.instruction_bytes,
                                  [](std::uint8_t value) { return value == 0; }));
  constexpr std::uint8_t kLengthMask = 0xF;
  GUEST_CHECK((intercept.header.length_and_cr8 & kLengthMask) == 0);
}

/// The processor reports neither length nor bytes of an instruction that an EPT violation stopped
/// (SDM vol. 3 27.2.5): the hypervisor reads them where RIP points, up to the end of the page.
void require_instruction(const hv::MemoryIntercept& intercept) {
  GUEST_CHECK(intercept.instruction_byte_count == 16);
  GUEST_CHECK(intercept.instruction_bytes[0] != 0);
  GUEST_CHECK(intercept.header.instruction_length() == 0);
}

std::uint64_t read_pending(const child_maker::Child& made) {
  hv::VpRegistersInput header;
  header.partition = made.id;
  const std::array<RegisterName, 1> names{RegisterName::kPendingInterruption};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}

void map_entry(const child_maker::Child& made) {
  const Gpn entry = machine::Gpa(made.header.entry_gpa).page();
  const std::array<Gpn, 1> pages{made.memory.page() + entry.value()};
  const hv::MapGpaPagesInput header{made.id, entry, hv::kMapRead | hv::kMapWrite | hv::kMapExecute,
                                    0};
  GUEST_CHECK(call(HypercallControl(CallCode::kMapGpaPages), header, std::span<const Gpn>(pages))
                  .status() == Status::kSuccess);
}

constexpr std::uint64_t kHardwareException = 3;
/// An invalid-opcode exception.
constexpr std::uint64_t kEvent = PendingInterruption::kPending |
                                 (kHardwareException << PendingInterruption::kTypeShift) |
                                 (std::uint64_t{6} << PendingInterruption::kVectorShift);

/// A child that starts with the event to be delivered before its first instruction, whose page is
/// not mapped.
child_maker::Child start_with_event() {
  begin();
  machine::set_interrupt_handler(0x30, [](const machine::InterruptFrame&) {
    machine::write_msr(machine::x86::kX2ApicEoi, 0);
  });
  machine::write_msr(hv::kMsrSint0, 0x30);
  const child_maker::Child made = child_maker::make("child");
  const Gpn entry = machine::Gpa(made.header.entry_gpa).page();
  const hv::UnmapGpaPagesInput unmap{made.id, entry, 0, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kUnmapGpaPages).with_reps(1), unmap).status() ==
              Status::kSuccess);
  child_maker::set_register(made, 0, RegisterName::kPendingInterruption, kEvent);
  child_maker::start(made, 0);
  return made;
}

hv::MemoryIntercept take_intercept() {
  return take_payload<hv::MemoryIntercept>(hv::MessageType::kUnmappedGpa);
}

void root() {
  const child_maker::Child made = start_with_event();
  const hv::MemoryIntercept fetch = take_intercept();
  GUEST_CHECK(fetch.header.access == hv::InterceptAccess::kExecute);
  GUEST_CHECK(fetch.gpa == made.header.entry_gpa);
  GUEST_CHECK((fetch.header.execution_state & InterceptHeader::kInterruptionPending) != 0);
  require_no_instruction(fetch);
  GUEST_CHECK(read_pending(made) == kEvent);
  // Without the event it starts as if nothing had been.
  child_maker::set_register(made, 0, RegisterName::kPendingInterruption, 0);
  map_entry(made);
  child_maker::set_register(made, 0, RegisterName::kInterceptSuspend, 0);
  const hv::MemoryIntercept store = take_intercept();
  GUEST_CHECK(store.header.access == hv::InterceptAccess::kWrite);
  GUEST_CHECK(store.gpa == child_maker::kHole.value());
  GUEST_CHECK((store.header.execution_state & InterceptHeader::kInterruptionPending) == 0);
  require_instruction(store);
  GUEST_CHECK(machine::load_u32(made.memory + child_maker::kSharedWord.value()) == 1);
  child_maker::destroy(made);
  end(0);
}

/// What the processor says of state that no processor can be in, the hypervisor tells the parent.
void root_that_writes_illegal_state() {
  const child_maker::Child made = start_with_event();
  static_cast<void>(take_intercept());
  constexpr std::uint64_t kNotCanonical = 1ull << 63;
  child_maker::set_register(made, 0, RegisterName::kRip, kNotCanonical);
  child_maker::set_register(made, 0, RegisterName::kInterceptSuspend, 0);
  GUEST_CHECK(take_message().header.type == hv::MessageType::kInvalidVpRegisterValue);
  GUEST_CHECK(read_pending(made) == kEvent);
  // Taken away, it is not delivered.
  child_maker::set_register(made, 0, RegisterName::kPendingInterruption, 0);
  child_maker::set_register(made, 0, RegisterName::kRip, made.header.entry_gpa);
  map_entry(made);
  child_maker::set_register(made, 0, RegisterName::kInterceptSuspend, 0);
  const hv::MemoryIntercept store = take_intercept();
  GUEST_CHECK(store.gpa == child_maker::kHole.value());
  GUEST_CHECK(machine::load_u32(made.memory + child_maker::kSharedWord.value()) == 1);
  child_maker::destroy(made);
  end(0);
}

void require_passes(void (*root_of_run)()) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const sim::RunResult result = run(world_with_child(root_of_run, child), seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}

}  // namespace

TEST_CASE("an event whose delivery a memory intercept stops is still pending", "[hv][intercept]") {
  require_passes(root);
}

TEST_CASE("an event that was to be delivered with an entry that failed is still pending",
          "[hv][intercept]") {
  require_passes(root_that_writes_illegal_state);
}
