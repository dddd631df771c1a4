// A hypercall's parameters in a page that refuses the access: the parent hears of it, mends it, and
// the call goes on (TLFS "Hypercall Inputs").
#include <array>
#include <catch2/catch.hpp>
#include <span>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/intercept_slot.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using child_maker::kHole;
using hv::CallCode;
using hv::HypercallControl;
using hv::InterceptAccess;
using hv::MessageType;
using hv::Status;
using machine::Gpn;
namespace x86 = machine::x86;

constexpr machine::Gpa kFound = child_maker::kSharedWord;
constexpr machine::Gpa kThrough{child_maker::kSharedWord.value() + 8};
constexpr std::uint8_t kVector = 0x30;

void acknowledge(const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); }

void tell(std::uint64_t found) {
  machine::store_u64(kFound, found);
  machine::store_u32(kThrough, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

/// Asks for its own index, which is answered in the hole.
void child_with_its_answer_in_the_hole() {
  begin();
  hv::GetVpIndexFromApicIdInput input;
  input.partition = hv::kPartitionIdSelf;
  machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
  machine::store_u32(kInputPage + sizeof(input), 0);
  const auto control = HypercallControl(CallCode::kGetVpIndexFromApicId).with_reps(1);
  tell(machine::hypercall(kHypercallPage, control.value(), kInputPage.value(), kHole.value()));
}

/// Its input is there.
void child_with_its_input_in_the_hole() {
  begin();
  tell(machine::hypercall(kHypercallPage, HypercallControl(CallCode::kPostMessage).value(),
                          kHole.value(), 0));
}

Child begin_root() {
  begin();
  machine::set_interrupt_handler(kVector, acknowledge);
  machine::write_msr(hv::kMsrSint0, kVector);
  return child_maker::make("child");
}

void map_hole(const Child& child, std::uint32_t rights) {
  const Gpn source = (child.memory + child.memory_pages * machine::kPageSize).page();
  const hv::MapGpaPagesInput header{child.id, kHole.page(), rights, 0};
  const std::array<Gpn, 1> pages{source};
  GUEST_CHECK(call(HypercallControl(CallCode::kMapGpaPages), header, std::span<const Gpn>(pages))
                  .status() == Status::kSuccess);
}

void require_message(MessageType type, InterceptAccess access) {
  const auto refused = take_payload<hv::MemoryIntercept>(type);
  GUEST_CHECK(refused.header.access == access && refused.gpa == kHole.value());
}

/// The call is made again, with the page as it is now.
std::uint64_t resume(const Child& child) {
  child_maker::set_register(child, 0, hv::RegisterName::kInterceptSuspend, 0);
  while (machine::load_u32(child.memory + kThrough.value()) == 0) {
    machine::pause();
  }
  return machine::load_u64(child.memory + kFound.value());
}

void root_of_an_answer() {
  const Child child = begin_root();
  map_hole(child, hv::kMapRead);
  child_maker::start(child, 0);
  require_message(MessageType::kGpaIntercept, InterceptAccess::kWrite);
  map_hole(child, hv::kMapRead | hv::kMapWrite);
  GUEST_CHECK(resume(child) == hv::HypercallResult(Status::kSuccess, 1).value());
  child_maker::destroy(child);
  end(0);
}

void root_of_an_input() {
  const Child child = begin_root();
  child_maker::start(child, 0);
  require_message(MessageType::kUnmappedGpa, InterceptAccess::kRead);
  map_hole(child, hv::kMapRead | hv::kMapWrite);
  // The page is all zero: a message without a type.
  GUEST_CHECK(resume(child) == hv::HypercallResult(Status::kInvalidParameter).value());
  child_maker::destroy(child);
  end(0);
}

void require_pass(void (*root)(), void (*child)()) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const sim::RunResult result = run(world_with_child(root, child), seed);
    INFO("seed " << seed << " " << describe(result));
    CHECK(result.passed());
  }
}

}  // namespace

TEST_CASE("a call whose answer may not be written is the parent's to mend", "[hv][parameters]") {
  require_pass(root_of_an_answer, child_with_its_answer_in_the_hole);
}

TEST_CASE("a call whose input is not mapped is the parent's to mend", "[hv][parameters]") {
  require_pass(root_of_an_input, child_with_its_input_in_the_hole);
}
