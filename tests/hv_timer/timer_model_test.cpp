// The synthetic timers against a reference of a few lines, and at the ends of what a guest can
// write.
#include <rapidcheck.h>
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <optional>

#include "hv/timer/synthetic_timers.h"
#include "hv/timer/timer_schedule.h"

namespace {

using hv::SyntheticTimers;
using hv::TimerConfig;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kHalf = 1ull << 63;
constexpr std::uint64_t kDirectOn = TimerConfig::direct(0xED, TimerConfig::kEnable).value;
constexpr std::uint64_t kPeriodicOn = kDirectOn | TimerConfig::kPeriodic;

struct Fixture {
  SyntheticTimers timers;
  void start(std::uint64_t config, std::uint64_t count, std::uint64_t now) {
    REQUIRE(timers.write(hv::kMsrStimer0Count, count, now));
    REQUIRE(timers.write(hv::kMsrStimer0Config, config, now));
  }
  [[nodiscard]] bool enabled() const {
    return (timers.read(hv::kMsrStimer0Config) & TimerConfig::kEnable) != 0;
  }
  [[nodiscard]] std::optional<std::uint64_t> due(std::uint64_t now) const {
    return timers.next_due(now, true);
  }
};

/// What the interface says of one timer, in words that know no period catching up: a signal is
/// never early, a one-shot timer signals once, a periodic one at most once for each period and
/// never more often than the shortest interval.
struct Reference {
  TimerConfig config;
  std::uint64_t count = 0;
  std::uint64_t started = 0;
  std::uint64_t last_signal = 0;
  std::uint64_t signals = 0;

  [[nodiscard]] bool runs() const {
    return config.enabled() && count != 0 && !(config.periodic() && count >= kHalf);
  }
  void write_config(std::uint64_t value, std::uint64_t now) {
    config.value = value;
    settle(now);
  }
  void write_count(std::uint64_t value, std::uint64_t now) {
    count = value;
    if (value == 0) {
      config.value &= ~TimerConfig::kEnable;
    } else if (config.auto_enable()) {
      config.value |= TimerConfig::kEnable;
    }
    settle(now);
  }
  void settle(std::uint64_t now) {
    if (!config.direct() && config.sint() == 0) {
      config.value &= ~TimerConfig::kEnable;
    }
    started = now;
    last_signal = now;
    signals = 0;
  }
  /// Whether a signal may come now; it has come.
  void signal(std::uint64_t now) {
    RC_ASSERT(runs());
    ++signals;
    if (!config.periodic()) {
      RC_ASSERT(now - count < kHalf);
      config.value &= ~TimerConfig::kEnable;
      return;
    }
    RC_ASSERT(signals <= (now - started) / count);
    RC_ASSERT(signals == 1 || now - last_signal >= hv::kShortestTimerInterval100ns);
    last_signal = now;
  }
};

std::uint64_t any_count() {
  return *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, 5000),
                         rc::gen::element<std::uint64_t>(0, 1, kHalf - 1, kHalf, kHalf + 1, kMax),
                         rc::gen::inRange<std::uint64_t>(900'000, 1'100'000));
}

}  // namespace

TEST_CASE("a one-shot timer at the ends of its range is past or to come", "[hv][timer]") {
  Fixture fixture;
  const std::uint64_t now = 1000;
  SECTION("0 stops it") {
    fixture.start(kDirectOn, 0, now);
    CHECK_FALSE(fixture.due(now));
  }
  SECTION("1 is past") {
    fixture.start(kDirectOn, 1, now);
    CHECK(fixture.timers.expire(now));
    CHECK_FALSE(fixture.enabled());
    CHECK(fixture.timers.read(hv::kMsrStimer0Count) == 1);
  }
  SECTION("now is now") {
    fixture.start(kDirectOn, now, now);
    CHECK(fixture.timers.expire(now));
  }
  SECTION("half of the range ahead is to come, and a little more is past") {
    fixture.start(kDirectOn, now + kHalf - 1, now);
    CHECK(fixture.due(now) == now + kHalf - 1);
    CHECK_FALSE(fixture.timers.expire(now));
    fixture.start(kDirectOn, now + kHalf + 1, now);
    CHECK(fixture.timers.expire(now));
  }
  SECTION("the last number of the range is past, but for a time around it") {
    fixture.start(kDirectOn, kMax, now);
    CHECK(fixture.timers.expire(now));
    fixture.start(kDirectOn, kMax, kMax - 5);
    CHECK_FALSE(fixture.timers.expire(kMax - 5));
    CHECK_FALSE(fixture.timers.expire(kMax - 1));
    CHECK(fixture.timers.expire(0));
  }
}

TEST_CASE("a periodic timer of any period leaves its processor time", "[hv][timer]") {
  for (const std::uint64_t period : {1ull, 2ull, 99ull, 100ull}) {
    Fixture fixture;
    fixture.start(kPeriodicOn, period, 0);
    std::uint64_t now = 0;
    std::uint64_t count = 0;
    while (now < 100'000) {
      now = *fixture.due(now);
      REQUIRE(fixture.timers.expire(now));
      REQUIRE_FALSE(fixture.timers.expire(now));
      ++count;
    }
    CHECK(count <= 100'000 / hv::kShortestTimerInterval100ns + 1);
    CHECK(count >= 100'000 / hv::kShortestTimerInterval100ns - 1);
    CHECK(fixture.enabled());
  }
}

TEST_CASE("a period that never ends never signals, and stays enabled", "[hv][timer]") {
  for (const std::uint64_t period : {kHalf, kHalf + 1, kMax - 1, kMax}) {
    Fixture fixture;
    fixture.start(kPeriodicOn, period, 1000);
    CHECK_FALSE(fixture.due(1000));
    CHECK_FALSE(fixture.timers.expire(1000 + kHalf / 2));
    CHECK(fixture.enabled());
  }
  Fixture fixture;
  fixture.start(kPeriodicOn, kHalf - 1, 1000);
  CHECK(fixture.due(1000) == 1000 + kHalf - 1);
}

TEST_CASE("a timer that is written while it runs goes by the new values", "[hv][timer]") {
  Fixture fixture;
  fixture.start(kPeriodicOn, 1000, 0);
  CHECK(fixture.due(500) == 1000u);
  REQUIRE(fixture.timers.write(hv::kMsrStimer0Count, 3000, 500));
  CHECK(fixture.due(500) == 3500u);
  REQUIRE(fixture.timers.write(hv::kMsrStimer0Config, kDirectOn, 600));
  CHECK(fixture.due(600) == 3000u);  // one-shot: absolute
  REQUIRE(fixture.timers.write(hv::kMsrStimer0Config, kDirectOn & ~TimerConfig::kEnable, 700));
  CHECK_FALSE(fixture.due(700));
}

TEST_CASE("timers come back as they were saved, with the message that was under way",
          "[hv][timer]") {
  Fixture fixture;
  const std::uint64_t message_on =
      TimerConfig::message(4, TimerConfig::kEnable | TimerConfig::kPeriodic).value;
  fixture.start(message_on, 1000, 0);
  REQUIRE(fixture.timers.write(hv::kMsrStimer0Config + 2, kDirectOn, 0));
  REQUIRE(fixture.timers.write(hv::kMsrStimer0Count + 2, 0, 0));
  REQUIRE(fixture.timers.expire(1010));  // its slot is full: the message stays under way
  hv::SyntheticTimersState state;
  fixture.timers.save(state);
  CHECK(state.timers[0].flags == hv::SyntheticTimerState::kUndeliveredMessage);
  CHECK(state.timers[0].undelivered_expiration_time_100ns == 1000);
  CHECK(state.timers[0].count == 1000);
  CHECK(state.timers[0].adjustment == 2000);
  CHECK(state.timers[1].flags == 0);
  SyntheticTimers other;
  REQUIRE(other.restore(state, 1500));
  CHECK(other.read(hv::kMsrStimer0Config) == message_on);
  CHECK(other.next_due(1500, false) == 1500u);
  const auto again = other.expire(1500);
  REQUIRE(again);
  CHECK(again->sint == 4);
  CHECK(reinterpret_cast<const hv::TimerExpiredPayload*>(again->message->payload)
            ->expiration_time_100ns == 1000);
  CHECK_FALSE(other.expire(1500));
  hv::SyntheticTimersState second;
  other.save(second);
  CHECK(second.timers[0].flags == hv::SyntheticTimerState::kUndeliveredMessage);
  other.message_owner().set_free(0);
  CHECK(other.next_due(1500, true) == 2000u);  // in step with its first due time
}

TEST_CASE("a saved state with reserved bits is refused whole", "[hv][timer]") {
  Fixture fixture;
  hv::SyntheticTimersState state;
  state.timers[0].count = 77;
  SECTION("config") { state.timers[3].config = 1ull << 13; }
  SECTION("flags") { state.timers[2].flags = 2; }
  SECTION("reserved") { state.timers[1].reserved = 1; }
  CHECK_FALSE(fixture.timers.restore(state, 0));
  CHECK(fixture.timers.read(hv::kMsrStimer0Count) == 0);
}

TEST_CASE("a timer does what its reference says, however often it is written and looked at",
          "[hv][timer]") {
  rc::prop("timers", [] {
    SyntheticTimers timers;
    Reference reference;
    std::uint64_t now = *rc::gen::element<std::uint64_t>(0, 1'000'000, kMax - 2000, kHalf - 2000);
    for (int step = 0; step < 60; ++step) {
      now += *rc::gen::inRange<std::uint64_t>(0, 3000);
      switch (*rc::gen::inRange(0, 6)) {
        case 0: {
          const std::uint64_t config = *rc::gen::arbitrary<std::uint64_t>() & 0xF1FFF;
          RC_ASSERT(timers.write(hv::kMsrStimer0Config, config, now));
          reference.write_config(config, now);
          break;
        }
        case 1: {
          const std::uint64_t count = *rc::gen::arbitrary<bool>() ? any_count() : now + any_count();
          RC_ASSERT(timers.write(hv::kMsrStimer0Count, count, now));
          reference.write_count(count, now);
          break;
        }
        default:
          break;
      }
      while (const auto expired = timers.expire(now)) {
        reference.signal(now);
        RC_ASSERT(expired->direct == reference.config.direct());
        timers.message_owner().set_free(0);
      }
      RC_ASSERT(timers.read(hv::kMsrStimer0Config) == reference.config.value);
      RC_ASSERT(timers.read(hv::kMsrStimer0Count) == reference.count);
      // What runs is due some time, and after now.
      const auto due = timers.next_due(now, true);
      RC_ASSERT(due.has_value() == reference.runs());
      if (due) {
        RC_ASSERT(*due != now);
        RC_ASSERT(*due - now <= kHalf);
      }
    }
  });
}

TEST_CASE("a late timer makes good fewer than 16 periods", "[hv][timer]") {
  rc::prop("catching up", [] {
    const auto period = *rc::gen::inRange<std::uint64_t>(200, 10'000);
    const std::uint64_t first = *rc::gen::arbitrary<std::uint64_t>();
    const auto late = *rc::gen::inRange<std::uint64_t>(0, 10'000'000);
    const std::uint64_t now = first + late;
    const auto next = hv::next_expiration<hv::TimerWords>(first, period, false, now);
    RC_ASSERT((next.due - first) % period == 0u);
    RC_ASSERT(next.due - first >= period);
    if ((now - next.due) >> 63 == 0) {
      RC_ASSERT((now - next.due) / period < 16u);
    }
  });
}
