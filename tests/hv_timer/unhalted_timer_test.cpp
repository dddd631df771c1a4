// The time-unhalted timer over any running time.
#include "hv/timer/unhalted_timer.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>

namespace {

using hv::kMsrUnhaltedTimerConfig;
using hv::kMsrUnhaltedTimerCount;
using hv::UnhaltedTimer;
using hv::UnhaltedTimerConfig;

constexpr std::uint64_t kEnabled = UnhaltedTimerConfig::kEnable | 0x40;

}  // namespace

TEST_CASE("a time-unhalted timer takes vectors that interrupt, and an NMI's", "[hv][timer]") {
  for (std::uint64_t vector = 0; vector < 256; ++vector) {
    UnhaltedTimer timer;
    const bool legal = vector == 2 || vector >= 16;
    CHECK(timer.write(kMsrUnhaltedTimerConfig, UnhaltedTimerConfig::kEnable | vector, 0) == legal);
    CHECK(timer.read(kMsrUnhaltedTimerConfig) ==
          (legal ? UnhaltedTimerConfig::kEnable | vector : 0));
    CHECK(timer.write(kMsrUnhaltedTimerConfig, vector, 0));
  }
}

TEST_CASE("a time-unhalted timer expires once for the periods that ended, never early",
          "[hv][timer]") {
  CHECK(rc::check("any periods", [] {
    UnhaltedTimer timer;
    std::uint64_t now = *rc::gen::inRange<std::uint64_t>(0, 1ull << 50);
    std::uint64_t began = now;
    std::uint64_t period = 0;
    bool enabled = false;
    for (int step = 0; step < 100; ++step) {
      switch (*rc::gen::inRange(0, 6)) {
        case 0:
          period = *rc::gen::element<std::uint64_t>(0, 1, 7, 1000, ~0ull);
          RC_ASSERT(timer.write(kMsrUnhaltedTimerCount, period, now));
          began = now;
          break;
        case 1:
          enabled = *rc::gen::arbitrary<bool>();
          RC_ASSERT(timer.write(kMsrUnhaltedTimerConfig, enabled ? kEnabled : 0x40, now));
          began = now;
          break;
        default:
          now += *rc::gen::element<std::uint64_t>(0, 1, 3, 900, 5000);
          break;
      }
      const bool runs = enabled && period != 0;
      const bool is_due = runs && now - began >= period;
      RC_ASSERT(timer.left_100ns(now).has_value() == runs);
      if (runs) {
        RC_ASSERT(*timer.left_100ns(now) == (is_due ? 0 : period - (now - began)));
      }
      const auto expired = timer.expire(now);
      RC_ASSERT(expired.has_value() == is_due);
      if (is_due) {
        RC_ASSERT(*expired == 0x40);
        began += (now - began) / period * period;
      }
    }
  }));
}
