// What a parent learns of the pages that its child writes, on the whole hypervisor in the
// simulator: the first half of live migration.
#include <array>
#include <catch2/catch.hpp>
#include <span>
#include <vector>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;
using machine::Gpa;
using machine::Gpn;
using States = hv::GetGpaPagesAccessStatesInput;

/// Two areas of a child that it writes all over: one in pages of 4 KiB, one in a page of 2 MiB.
constexpr std::uint64_t kPages = 512;
constexpr Gpn kSmall{0x400 + 0x200};
constexpr Gpn kLarge{0x1000};
constexpr Gpn kLargeKept{0x9200};
/// In the shared word of a child: it goes on, it shall stop, it has stopped.
constexpr std::uint32_t kGoOn = 0;
constexpr std::uint32_t kStop = 1;
constexpr std::uint32_t kStopped = 2;

void writing_child() {
  begin();
  for (std::uint32_t count = 1; machine::load_u32(child_maker::kSharedWord) == kGoOn; ++count) {
    const std::uint64_t page = (count * 7919ull) % (kPages / 2);
    const Gpn area = count % 2 == 0 ? kSmall : kLarge;
    machine::store_u32(Gpa(area + page), count);
  }
  machine::store_u32(child_maker::kSharedWord, kStopped);
  for (;;) {
    machine::sti_hlt();
  }
}

Status track(const child_maker::Child& child) {
  hv::SetPartitionPropertyInput input;
  input.partition = child.id;
  input.property = hv::PartitionProperty::kGpaPageAccessTracking;
  input.value = 1;
  return call(HypercallControl(CallCode::kSetPartitionProperty), input).status();
}

/// An area as its parent keeps it, and a copy that follows what the child writes.
struct Area {
  Gpn in_child;
  Gpa kept;
  std::vector<std::uint32_t> copy = std::vector<std::uint32_t>(kPages, 0);

  [[nodiscard]] std::uint32_t word(std::uint64_t page) const {
    return machine::load_u32(kept + page * machine::kPageSize);
  }
  /// Copies what was written since the last time; how many pages that were.
  std::uint32_t follow(const child_maker::Child& child) {
    const States input{child.id, States::kClearDirty, in_child};
    const auto result =
        call(HypercallControl(CallCode::kGetGpaPagesAccessStates).with_reps(kPages), input);
    GUEST_CHECK(result.status() == Status::kSuccess && result.reps_completed() == kPages);
    std::vector<std::byte> states(kPages);
    machine::read_memory(kOutputPage, states);
    std::uint32_t written = 0;
    for (std::uint64_t page = 0; page < kPages; ++page) {
      if ((std::to_integer<std::uint8_t>(states[page]) & States::kDirty) != 0) {
        copy[page] = word(page);
        ++written;
      }
    }
    return written;
  }
};

void root_that_follows() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  const std::array<Gpn, 1> sources{kLargeKept};
  GUEST_CHECK(call(HypercallControl(CallCode::kMapGpaPages),
                   hv::MapGpaPagesInput{child.id, kLarge,
                                        hv::kMapRead | hv::kMapWrite | hv::kMapLargePage, 0},
                   std::span<const Gpn>(sources))
                  .status() == Status::kSuccess);
  std::array areas{Area{kSmall, child.memory + Gpa(kSmall).value()}, Area{kLarge, Gpa(kLargeKept)}};
  child_maker::start(child, 0);
  while (areas[0].word(10) == 0) {  // it has translations that know nothing of notes
    machine::pause();
  }
  GUEST_CHECK(track(child) == Status::kSuccess);
  for (Area& area : areas) {
    for (std::uint64_t page = 0; page < kPages; ++page) {
      area.copy[page] = area.word(page);
    }
  }
  std::uint32_t followed = 0;
  for (int round = 0; round < 12; ++round) {
    for (Area& area : areas) {
      followed += area.follow(child);
    }
  }
  const Gpa word = child.memory + child_maker::kSharedWord.value();
  machine::store_u32(word, kStop);
  while (machine::load_u32(word) != kStopped) {
    machine::pause();
  }
  for (Area& area : areas) {
    followed += area.follow(child);
    for (std::uint64_t page = 0; page < kPages; ++page) {
      GUEST_CHECK(area.copy[page] == area.word(page));
    }
    GUEST_CHECK(area.follow(child) == 0);  // nobody writes any more
  }
  GUEST_CHECK(followed > 0);
  child_maker::destroy(child);
  end(0);
}

/// The hypervisor writes for the child, too.
void asking_child() {
  begin();
  static_cast<void>(call(HypercallControl(CallCode::kGetVpIndexFromApicId).with_reps(1),
                         hv::GetVpIndexFromApicIdInput{hv::kPartitionIdSelf, {}, {}}));
  machine::store_u32(child_maker::kSharedWord, kStopped);
  for (;;) {
    machine::sti_hlt();
  }
}

void root_that_learns_of_answers() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  GUEST_CHECK(track(child) == Status::kSuccess);
  child_maker::start(child, 0);
  const Gpa word = child.memory + child_maker::kSharedWord.value();
  while (machine::load_u32(word) != kStopped) {
    machine::pause();
  }
  const auto noted = [&](Gpn page) {
    GUEST_CHECK(call(HypercallControl(CallCode::kGetGpaPagesAccessStates).with_reps(1),
                     States{child.id, 0, page})
                    .status() == Status::kSuccess);
    return output<std::uint8_t>();
  };
  GUEST_CHECK(noted(kInputPage.page()) == (States::kAccessed | States::kDirty));
  GUEST_CHECK(noted(kOutputPage.page()) == (States::kAccessed | States::kDirty));
  GUEST_CHECK(noted(kOutputPage.page() + 100) == 0);
  end(0);
}

void require_pass(void (*root)(), void (*child)(), std::uint64_t seed) {
  const sim::RunResult result = run(world_with_child(root, child), seed);
  INFO("seed " << seed << " " << describe(result));
  REQUIRE(result.passed());
}

}  // namespace

TEST_CASE("a parent that copies what is dirty has all that its child wrote", "[hv][tracking]") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    require_pass(root_that_follows, writing_child, seed);
  }
}

TEST_CASE("what the hypervisor writes for a child is dirty", "[hv][tracking]") {
  require_pass(root_that_learns_of_answers, asking_child, 1);
}
