// A child's memory in pages of 2 MiB, on the whole hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <optional>
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
using hv::InterceptAccess;
using hv::Status;
using machine::Gpa;
using machine::Gpn;

constexpr std::uint64_t kPages = 512;
/// In the child, and where the root keeps it.
constexpr Gpa kLarge{0x100'0000};
constexpr Gpa kKept{0x920'0000};
constexpr std::uint32_t kReadWrite = hv::kMapRead | hv::kMapWrite;

/// The child tells in the shared word how far it is, and goes on when the root counts further.
void await(std::uint32_t step) {
  while (machine::load_u32(child_maker::kSharedWord) != step) {
    machine::pause();
  }
}

void tell(std::uint32_t step) { machine::store_u32(child_maker::kSharedWord, step); }

Gpa word_of(std::uint64_t page) { return kLarge + page * machine::kPageSize; }
Gpa kept_word_of(std::uint64_t page) { return kKept + page * machine::kPageSize; }

void child_with_a_large_page() {
  begin();
  for (std::uint64_t page = 0; page < kPages; ++page) {
    GUEST_CHECK(machine::load_u32(word_of(page)) == page);
    machine::store_u32(word_of(page), static_cast<std::uint32_t>(page + 1000));
  }
  tell(1);
  await(2);
  GUEST_CHECK(machine::load_u32(word_of(6)) == 1006);  // beside the hole
  machine::store_u32(word_of(5), 5);                   // in it
  tell(3);
  await(4);
  GUEST_CHECK(machine::load_u32(word_of(511)) == 1511);  // may be read
  machine::store_u32(word_of(511), 511);                 // and no more
  tell(5);
  await(6);
  static_cast<void>(machine::load_u32(word_of(100)));  // is gone
  end(99);
}

hv::HypercallResult map(const child_maker::Child& child, Gpn target, Gpn source,
                        std::uint32_t flags) {
  const std::array<Gpn, 1> pages{source};
  return call(HypercallControl(CallCode::kMapGpaPages),
              hv::MapGpaPagesInput{child.id, target, flags, 0}, std::span<const Gpn>(pages));
}

Status unmap(const child_maker::Child& child, Gpn target, std::uint32_t flags) {
  const hv::UnmapGpaPagesInput input{child.id, target, flags, 0};
  return call(HypercallControl(CallCode::kUnmapGpaPages).with_reps(1), input).status();
}

void root_of_a_large_page() {
  begin();
  machine::set_interrupt_handler(0x30, [](const machine::InterruptFrame&) {
    machine::write_msr(machine::x86::kX2ApicEoi, 0);
  });
  machine::write_msr(hv::kMsrSint0, 0x30);
  const child_maker::Child child = child_maker::make("child");
  const Gpa word = child.memory + child_maker::kSharedWord.value();
  const auto pass_on = [&](std::uint32_t from) {
    while (machine::load_u32(word) != from) {
      machine::pause();
    }
  };
  for (std::uint64_t page = 0; page < kPages; ++page) {
    machine::store_u32(kept_word_of(page), static_cast<std::uint32_t>(page));
  }
  constexpr std::uint32_t kLargeFlags = kReadWrite | hv::kMapLargePage;
  GUEST_CHECK(map(child, kLarge.page() + 1, kKept.page(), kLargeFlags).status() ==
              Status::kInvalidParameter);
  GUEST_CHECK(map(child, kLarge.page(), kKept.page() + 1, kLargeFlags).status() ==
              Status::kInvalidParameter);
  const auto mapped = map(child, kLarge.page(), kKept.page(), kLargeFlags);
  GUEST_CHECK(mapped.status() == Status::kSuccess && mapped.reps_completed() == 1);
  child_maker::start(child, 0);
  pass_on(1);
  for (std::uint64_t page = 0; page < kPages; ++page) {
    GUEST_CHECK(machine::load_u32(kept_word_of(page)) == page + 1000);
  }
  // One page in its midst goes: the processor, which has used it, must not find it again.
  GUEST_CHECK(unmap(child, kLarge.page() + 5, 0) == Status::kSuccess);
  machine::store_u32(word, 2);
  const hv::MemoryIntercept hole = take_payload<hv::MemoryIntercept>(hv::MessageType::kUnmappedGpa);
  GUEST_CHECK(hole.gpa == word_of(5).value());
  GUEST_CHECK(hole.header.access == InterceptAccess::kWrite);
  GUEST_CHECK(machine::load_u32(kept_word_of(5)) == 1005);
  // All of it again, to be read only.
  GUEST_CHECK(map(child, kLarge.page(), kKept.page(), kLargeFlags).status() == Status::kSuccess);
  child_maker::set_register(child, 0, hv::RegisterName::kInterceptSuspend, 0);
  pass_on(3);
  GUEST_CHECK(machine::load_u32(kept_word_of(5)) == 5);
  GUEST_CHECK(map(child, kLarge.page(), kKept.page(), hv::kMapRead | hv::kMapLargePage).status() ==
              Status::kSuccess);
  machine::store_u32(word, 4);
  const hv::MemoryIntercept denied =
      take_payload<hv::MemoryIntercept>(hv::MessageType::kGpaIntercept);
  GUEST_CHECK(denied.gpa == word_of(511).value());
  GUEST_CHECK(denied.header.access == InterceptAccess::kWrite);
  GUEST_CHECK(machine::load_u32(kept_word_of(511)) == 1511);
  GUEST_CHECK(map(child, kLarge.page(), kKept.page(), kLargeFlags).status() == Status::kSuccess);
  child_maker::set_register(child, 0, hv::RegisterName::kInterceptSuspend, 0);
  pass_on(5);
  GUEST_CHECK(unmap(child, kLarge.page(), hv::kUnmapLargePage) == Status::kSuccess);
  machine::store_u32(word, 6);
  GUEST_CHECK(take_payload<hv::MemoryIntercept>(hv::MessageType::kUnmappedGpa).gpa ==
              word_of(100).value());
  child_maker::destroy(child);
  end(0);
}

}  // namespace

TEST_CASE("a large page is mapped, split, restricted and taken away before the call returns",
          "[hv][memory]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const sim::RunResult result =
        run(world_with_child(root_of_a_large_page, child_with_a_large_page), seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}
