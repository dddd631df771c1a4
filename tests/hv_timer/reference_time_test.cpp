#include "hv/timer/reference_time.h"
#include "hv/timer/partition_clock.h"

#include <rapidcheck.h>
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>
#include <vector>

#include "hv/timer/reference_tsc_page.h"
#include "tests/support/fake_spa_memory.h"

namespace {

using hv::MachineWords;
using hv::ReferenceClock;
__extension__ using Wide = unsigned __int128;

std::uint64_t any_frequency() {
  return *rc::gen::oneOf(
      rc::gen::inRange<std::uint64_t>(hv::kMinTscFrequencyHz, 6'000'000'000),
      rc::gen::elementOf(std::vector<std::uint64_t>{hv::kMinTscFrequencyHz, 1'000'000'000,
                                                    2'500'000'000, 1ull << 32, 1ull << 40}));
}

}  // namespace

TEST_CASE("the multiplication and the scale agree with 128-bit arithmetic", "[hv][time]") {
  rc::prop("multiply_high", [](std::uint64_t left, std::uint64_t right) {
    const auto expected = static_cast<std::uint64_t>((Wide{left} * right) >> 64);
    RC_ASSERT(hv::multiply_high<MachineWords>(left, right) == expected);
  });
  rc::prop("reference_scale", [] {
    const std::uint64_t frequency = any_frequency();
    const auto expected =
        static_cast<std::uint64_t>((Wide{hv::kReferenceTimeFrequencyHz} << 64) / frequency);
    RC_ASSERT(hv::reference_scale(frequency) == expected);
  });
  CHECK(hv::multiply_high<MachineWords>(~0ull, ~0ull) == ~0ull - 1);
}

TEST_CASE("a clock shows the time that it was set to and runs at 10 MHz", "[hv][time]") {
  const ReferenceClock clock(2'500'000'000, 1'000'000, 77);
  CHECK(clock.time_at(1'000'000) == 77);
  const std::uint64_t after_a_second = clock.time_at(1'000'000 + 2'500'000'000);
  CHECK(after_a_second >= 77 + 9'999'999);
  CHECK(after_a_second <= 77 + 10'000'000);
}

TEST_CASE("a clock never runs backwards, and waiting as told is enough and not much too long",
          "[hv][time]") {
  rc::prop("ticks_until", [] {
    const std::uint64_t frequency = any_frequency();
    const std::uint64_t tsc = *rc::gen::inRange<std::uint64_t>(0, 1ull << 55);
    const ReferenceClock clock(frequency, *rc::gen::inRange<std::uint64_t>(0, tsc + 1),
                               *rc::gen::inRange<std::uint64_t>(0, 1ull << 40));
    const std::uint64_t now = clock.time_at(tsc);
    RC_ASSERT(clock.time_at(tsc + 1) >= now);
    const std::uint64_t distance = *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, 100),
                                                   rc::gen::inRange<std::uint64_t>(0, 1ull << 40));
    const std::uint64_t ticks = clock.ticks_until(now + distance, tsc);
    RC_ASSERT(clock.time_at(tsc + ticks) >= now + distance);
    RC_ASSERT(clock.time_at(tsc + ticks) <= now + distance + 10);
    RC_ASSERT(clock.ticks_until(now, tsc) == 0u);
    RC_ASSERT(clock.ticks_until(now - distance, tsc) == 0u);
  });
}

TEST_CASE("what is too far away is never", "[hv][time]") {
  const ReferenceClock clock(2'500'000'000, 0, 0);
  CHECK(clock.ticks_until((1ull << 63) - 1, 0) == ~0ull);
}

TEST_CASE("a reader of the TSC page sees a whole pair or looks again", "[hv][time]") {
  constexpr machine::Spn kPage{40};
  constexpr std::uint64_t kBase = kPage.value() * machine::kPageSize;
  test_support::FakeSpaMemory memory;
  memory.set(kBase, hv::ReferenceTscPage{});
  CHECK(hv::publish_reference_tsc(kPage, 0, 100, 1000) == 1);
  std::vector<hv::ReferenceTscPage> seen;
  memory.before_access = [&](const test_support::SpaAccess&) {
    seen.push_back(memory.get<hv::ReferenceTscPage>(kBase));
  };
  CHECK(hv::publish_reference_tsc(kPage, 1, 200, 2000) == 2);
  memory.before_access = nullptr;
  seen.push_back(memory.get<hv::ReferenceTscPage>(kBase));
  bool saw_invalid = false;
  for (const hv::ReferenceTscPage& page : seen) {
    saw_invalid = saw_invalid || page.sequence == 0;
    if (page.sequence == 1) {
      CHECK((page.scale == 100 && page.offset == 1000));
    } else if (page.sequence == 2) {
      CHECK((page.scale == 200 && page.offset == 2000));
    } else {
      CHECK(page.sequence == 0);
    }
  }
  CHECK(saw_invalid);
  hv::invalidate_reference_tsc(kPage);
  CHECK(memory.get<std::uint32_t>(kBase) == 0);
}

TEST_CASE("the sequence skips the values that mean invalid", "[hv][time]") {
  constexpr machine::Spn kPage{40};
  test_support::FakeSpaMemory memory;
  memory.set(kPage.value() * machine::kPageSize, hv::ReferenceTscPage{});
  CHECK(hv::publish_reference_tsc(kPage, 0xFFFF'FFFE, 1, 1) == 1);
  CHECK(hv::publish_reference_tsc(kPage, 0xFFFF'FFFF, 1, 1) == 1);
}

TEST_CASE("a sequence that was invalidated does not come again", "[hv][time]") {
  constexpr machine::Spn kPage{40};
  test_support::FakeSpaMemory memory;
  memory.set(kPage.value() * machine::kPageSize, hv::ReferenceTscPage{});
  const std::uint32_t before = hv::publish_reference_tsc(kPage, 0, 1, 1);
  hv::invalidate_reference_tsc(kPage);
  CHECK(hv::publish_reference_tsc(kPage, before, 1, 2) == before + 1);
}

TEST_CASE("a partition's clock stands, is set, and runs on from there", "[hv][time]") {
  hv::PartitionClock clock;
  clock.begin(1'000'000'000, 500);  // 100 ticks a unit
  CHECK(clock.time_at(500) == 0);
  const std::uint64_t seen = clock.time_at(1'000'500);
  CHECK(seen >= 9'999);
  clock.stop(1'000'500);
  CHECK(clock.time_at(9'000'000) == seen);
  CHECK(clock.ticks_until(seen, 9'000'000) == 0);
  CHECK(clock.ticks_until(seen + 1, 9'000'000) == hv::PartitionClock::kNever);
  clock.go_on(9'000'000);
  CHECK(clock.time_at(9'000'000) == seen);
  CHECK(clock.time_at(9'010'000) - seen <= 101);
  CHECK(clock.time_at(9'010'000) - seen >= 99);
  clock.stop(9'010'000);
  clock.set(~0ull);
  CHECK(clock.time_at(0) == ~0ull);
  clock.go_on(10'000'000);
  CHECK(clock.time_at(10'000'000) == ~0ull);
  CHECK(clock.time_at(10'000'200) <= 2);  // modulo 2^64
}

TEST_CASE("a running partition clock shows what its reference TSC page says", "[hv][time]") {
  rc::prop("page and clock", [] {
    const auto frequency = *rc::gen::inRange<std::uint64_t>(20'000'000, 6'000'000'000);
    const auto began = *rc::gen::arbitrary<std::uint64_t>();
    const auto time = *rc::gen::arbitrary<std::uint64_t>();
    hv::PartitionClock clock;
    clock.begin(frequency, began >> 8);
    clock.stop(began >> 8);
    clock.set(time);
    clock.go_on(began >> 4);
    const auto tsc = *rc::gen::arbitrary<std::uint64_t>();
    RC_ASSERT(clock.time_at(tsc) == hv::reference_time(tsc, clock.scale(), clock.offset()));
    RC_ASSERT(clock.time_at(began >> 4) == time);
  });
}
