#include "partitions/kernel/timer_queue.h"

#include <catch2/catch.hpp>
#include <vector>

#include "hv/tlfs/msr.h"
#include "tests/kernel/kernel_fixture.h"

namespace {

kernel::Task<> sleeps(std::uint64_t until_100ns, std::vector<std::uint64_t>& woken) {
  co_await kernel::sleep_until(until_100ns);
  woken.push_back(until_100ns);
}

/// The interrupt of the timer at `now`.
void fire(kernel_test::Booted& booted, std::uint64_t now) {
  host_seam::computer().msrs[hv::kMsrTimeRefCount] = now;
  booted.processor().timers().expired();
  booted.run();
}

}  // namespace

TEST_CASE("sleepers wake at their time, the earliest deadline is armed", "[kernel][timer]") {
  kernel_test::Booted booted;
  std::vector<std::uint64_t> woken;
  for (const std::uint64_t until : {300u, 100u, 200u, 100u}) {
    sleeps(until, woken).spawn();
  }
  booted.run();
  CHECK(host_seam::computer().msrs[hv::kMsrStimer0Count] == 100);
  fire(booted, 99);
  CHECK(woken.empty());
  CHECK(host_seam::computer().msrs[hv::kMsrStimer0Count] == 100);
  fire(booted, 250);
  CHECK(woken == std::vector<std::uint64_t>{100, 100, 200});
  CHECK(host_seam::computer().msrs[hv::kMsrStimer0Count] == 300);
  fire(booted, 300);
  CHECK(woken.size() == 4);
}

TEST_CASE("a deadline of zero does not stop the timer", "[kernel][timer]") {
  kernel_test::Booted booted;
  std::vector<std::uint64_t> woken;
  sleeps(0, woken).spawn();
  booted.run();
  CHECK(host_seam::computer().msrs[hv::kMsrStimer0Count] == 1);
}
