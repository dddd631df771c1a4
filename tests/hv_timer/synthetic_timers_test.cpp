#include "hv/timer/synthetic_timers.h"

#include <rapidcheck.h>
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>
#include <vector>

namespace {

using hv::SyntheticTimers;
using hv::TimerConfig;
using hv::TimerExpiration;

constexpr std::uint32_t config_msr(std::uint32_t timer) {
  return hv::kMsrStimer0Config + 2 * timer;
}
constexpr std::uint32_t count_msr(std::uint32_t timer) { return hv::kMsrStimer0Count + 2 * timer; }

constexpr std::uint64_t direct(std::uint64_t flags) {
  return TimerConfig::direct(0xED, flags).value;
}
constexpr std::uint64_t message(std::uint64_t flags) {
  return TimerConfig::message(4, flags).value;
}

struct Fixture {
  SyntheticTimers timers;

  void write(std::uint32_t msr, std::uint64_t value, std::uint64_t now = 0) {
    REQUIRE(timers.write(msr, value, now));
  }
  [[nodiscard]] bool enabled(std::uint32_t timer) const {
    return (timers.read(config_msr(timer)) & TimerConfig::kEnable) != 0;
  }
  /// How many expirations there are at a time.
  [[nodiscard]] std::size_t expirations(std::uint64_t now) {
    std::size_t count = 0;
    while (timers.expire(now)) {
      ++count;
      REQUIRE(count < 100);
    }
    return count;
  }
};

}  // namespace

TEST_CASE("timer registers read back what was written, and reserved bits fault", "[hv][timer]") {
  Fixture fixture;
  for (std::uint32_t timer = 0; timer < hv::kSyntheticTimerCount; ++timer) {
    CHECK(fixture.timers.read(config_msr(timer)) == 0);
    CHECK(fixture.timers.read(count_msr(timer)) == 0);
    fixture.write(count_msr(timer), 1000 + timer);
    fixture.write(config_msr(timer), direct(TimerConfig::kPeriodic));
    CHECK(fixture.timers.read(count_msr(timer)) == 1000 + timer);
    CHECK(fixture.timers.read(config_msr(timer)) == direct(TimerConfig::kPeriodic));
    for (const std::uint64_t reserved : {1ull << 13, 1ull << 15, 1ull << 20, 1ull << 63}) {
      CHECK_FALSE(fixture.timers.write(config_msr(timer), reserved, 0));
    }
    CHECK(fixture.timers.read(config_msr(timer)) == direct(TimerConfig::kPeriodic));
  }
}

TEST_CASE("a one-shot timer expires once, at its due time and not before", "[hv][timer]") {
  Fixture fixture;
  fixture.write(count_msr(1), 500, 100);
  fixture.write(config_msr(1), direct(TimerConfig::kEnable), 100);
  CHECK(fixture.timers.next_due(100, true) == 500);
  CHECK_FALSE(fixture.timers.expire(499));
  CHECK(fixture.enabled(1));
  const auto expiration = fixture.timers.expire(500);
  REQUIRE(expiration);
  CHECK(expiration->timer == 1);
  CHECK(expiration->direct);
  CHECK(expiration->vector == 0xED);
  CHECK(expiration->message == nullptr);
  CHECK_FALSE(fixture.enabled(1));
  CHECK(fixture.timers.read(count_msr(1)) == 500);
  CHECK_FALSE(fixture.timers.expire(501));
  CHECK_FALSE(fixture.timers.next_due(501, true));
}

TEST_CASE("a one-shot timer in the past expires at once", "[hv][timer]") {
  Fixture fixture;
  fixture.write(count_msr(0), 500, 1000);
  fixture.write(config_msr(0), direct(TimerConfig::kEnable), 1000);
  CHECK(fixture.timers.next_due(1000, true) == 500);
  CHECK(fixture.expirations(1000) == 1);
}

TEST_CASE("with auto-enable the count starts the timer, and 0 stops it", "[hv][timer]") {
  Fixture fixture;
  fixture.write(config_msr(0), direct(TimerConfig::kEnable | TimerConfig::kAutoEnable));
  CHECK(fixture.enabled(0));
  CHECK_FALSE(fixture.timers.next_due(0, true));  // no count yet
  fixture.write(count_msr(0), 300);
  CHECK(fixture.expirations(300) == 1);
  CHECK_FALSE(fixture.enabled(0));
  fixture.write(count_msr(0), 700);
  CHECK(fixture.enabled(0));
  CHECK(fixture.timers.next_due(300, true) == 700);
  fixture.write(count_msr(0), 0);
  CHECK_FALSE(fixture.enabled(0));
  CHECK_FALSE(fixture.timers.next_due(300, true));
}

TEST_CASE("without auto-enable the count waits for the enable bit", "[hv][timer]") {
  Fixture fixture;
  fixture.write(count_msr(0), 300);
  CHECK_FALSE(fixture.timers.next_due(0, true));
  fixture.write(config_msr(0), direct(TimerConfig::kEnable));
  CHECK(fixture.timers.next_due(0, true) == 300);
  fixture.write(config_msr(0), direct(0));
  CHECK_FALSE(fixture.timers.next_due(0, true));
}

TEST_CASE("a timer without a SINT and not direct cannot be enabled", "[hv][timer]") {
  Fixture fixture;
  fixture.write(count_msr(0), 300);
  fixture.write(config_msr(0), TimerConfig::kEnable);
  CHECK_FALSE(fixture.enabled(0));
  fixture.write(config_msr(0), TimerConfig::kAutoEnable);
  fixture.write(count_msr(0), 400);
  CHECK_FALSE(fixture.enabled(0));
  CHECK_FALSE(fixture.timers.next_due(0, true));
}

TEST_CASE("a periodic timer keeps its beat from when it was enabled", "[hv][timer]") {
  Fixture fixture;
  fixture.write(count_msr(0), 1000, 0);
  fixture.write(config_msr(0), direct(TimerConfig::kEnable | TimerConfig::kPeriodic), 10500);
  CHECK(fixture.timers.next_due(10500, true) == 11500);
  CHECK(fixture.expirations(11499) == 0);
  CHECK(fixture.expirations(11530) == 1);  // a little late does not move the beat
  CHECK(fixture.enabled(0));
  CHECK(fixture.timers.next_due(11530, true) == 12500);
}

TEST_CASE("a late periodic timer catches up by shorter periods", "[hv][timer]") {
  Fixture fixture;
  fixture.write(count_msr(0), 1000, 0);
  fixture.write(config_msr(0), direct(TimerConfig::kEnable | TimerConfig::kPeriodic), 0);
  CHECK(fixture.expirations(3300) == 1);  // due at 1000, 2000, 3000
  std::uint64_t now = 3300;
  std::vector<std::uint64_t> signals;
  while (signals.size() < 8) {
    now = *fixture.timers.next_due(now, true);
    signals.push_back(now);
    CHECK(fixture.expirations(now) == 1);
  }
  CHECK(signals == std::vector<std::uint64_t>{3800, 4300, 4800, 5300, 6000, 7000, 8000, 9000});
}

TEST_CASE("a periodic timer that is far behind drops ticks", "[hv][timer]") {
  Fixture fixture;
  fixture.write(count_msr(0), 100, 0);
  fixture.write(config_msr(0), direct(TimerConfig::kEnable | TimerConfig::kPeriodic), 0);
  CHECK(fixture.expirations(1'000'000) == 1);
  std::uint64_t now = 1'000'000;
  std::size_t count = 0;
  while ((now = *fixture.timers.next_due(now, true)) < 1'010'000) {
    CHECK(fixture.expirations(now) == 1);
    ++count;
  }
  CHECK(count < 120);  // 99 of its own, and a few to catch up
}

TEST_CASE("a lazy timer skips what it missed and waits for its processor", "[hv][timer]") {
  Fixture fixture;
  fixture.write(count_msr(0), 1000, 0);
  fixture.write(config_msr(0),
                direct(TimerConfig::kEnable | TimerConfig::kPeriodic | TimerConfig::kLazy), 0);
  CHECK_FALSE(fixture.timers.next_due(0, false));
  CHECK(fixture.timers.next_due(0, true) == 1000);
  CHECK(fixture.expirations(3300) == 1);
  CHECK(fixture.timers.next_due(3300, true) == 4000);
  CHECK(fixture.expirations(4700) == 1);
  CHECK(fixture.timers.next_due(4700, true) == 6000);  // 5000 would be too close
}

TEST_CASE("a message timer has one message under way at most", "[hv][timer]") {
  Fixture fixture;
  fixture.write(count_msr(2), 100, 0);
  fixture.write(config_msr(2), message(TimerConfig::kEnable | TimerConfig::kPeriodic), 0);
  const auto expiration = fixture.timers.expire(100);
  REQUIRE(expiration);
  CHECK_FALSE(expiration->direct);
  CHECK(expiration->sint == 4);
  REQUIRE(expiration->message != nullptr);
  CHECK(expiration->message->header.type == hv::MessageType::kTimerExpired);
  CHECK(expiration->message->header.payload_size == 24);
  CHECK(expiration->message->on_delivery == hv::OnDelivery::kTime);
  const auto* payload =
      reinterpret_cast<const hv::TimerExpiredPayload*>(expiration->message->payload);
  CHECK(payload->timer_index == 2);
  CHECK(payload->expiration_time_100ns == 100);
  // The message is not delivered: the next expiration waits, and asks for no wake-up.
  CHECK_FALSE(fixture.timers.expire(200));
  CHECK_FALSE(fixture.timers.next_due(200, true));
  fixture.timers.message_owner().set_free(2);
  CHECK(fixture.timers.next_due(210, true) == 200);
  REQUIRE(fixture.timers.expire(210));
  CHECK(payload->expiration_time_100ns == 200);
}

TEST_CASE("a one-shot message timer that is armed again waits for its message", "[hv][timer]") {
  Fixture fixture;
  fixture.write(config_msr(0), message(TimerConfig::kAutoEnable), 0);
  fixture.write(count_msr(0), 100, 0);
  REQUIRE(fixture.timers.expire(100));
  fixture.write(count_msr(0), 150, 100);
  CHECK_FALSE(fixture.timers.expire(200));
  CHECK(fixture.enabled(0));
  fixture.timers.message_owner().set_free(0);
  CHECK(fixture.timers.expire(200));
}

TEST_CASE("times are compared modulo 2^64", "[hv][timer]") {
  Fixture fixture;
  const std::uint64_t now = ~0ull - 10;
  fixture.write(count_msr(0), 20, now);  // 31 ahead, past the wrap
  fixture.write(config_msr(0), direct(TimerConfig::kEnable), now);
  CHECK(fixture.timers.next_due(now, true) == 20);
  CHECK(fixture.expirations(now) == 0);
  CHECK(fixture.expirations(19) == 0);
  CHECK(fixture.expirations(20) == 1);
}

TEST_CASE("the earliest of several timers is next, and each expires for itself", "[hv][timer]") {
  Fixture fixture;
  for (std::uint32_t timer = 0; timer < 4; ++timer) {
    fixture.write(config_msr(timer), direct(TimerConfig::kAutoEnable));
    fixture.write(count_msr(timer), 400 - 100 * timer);
  }
  CHECK(fixture.timers.next_due(0, true) == 100);
  CHECK(fixture.expirations(250) == 2);
  CHECK(fixture.timers.next_due(250, true) == 300);
}

TEST_CASE("a reset stops every timer", "[hv][timer]") {
  Fixture fixture;
  fixture.write(config_msr(0), direct(TimerConfig::kAutoEnable));
  fixture.write(count_msr(0), 100);
  fixture.timers.reset();
  CHECK_FALSE(fixture.timers.next_due(0, true));
  CHECK(fixture.timers.read(config_msr(0)) == 0);
  CHECK(fixture.timers.read(count_msr(0)) == 0);
}

TEST_CASE("no register value and no time makes expiring endless or early", "[hv][timer]") {
  rc::prop("timers", [] {
    SyntheticTimers timers;
    const auto any_time = rc::gen::oneOf(
        rc::gen::arbitrary<std::uint64_t>(), rc::gen::inRange<std::uint64_t>(0, 1000),
        rc::gen::map(rc::gen::inRange<std::uint64_t>(0, 1000), [](std::uint64_t v) { return ~v; }),
        rc::gen::map(rc::gen::inRange(0, 64), [](int shift) { return std::uint64_t{1} << shift; }));
    std::uint64_t now = *any_time;
    for (int step = 0; step < 40; ++step) {
      const std::uint32_t msr = *rc::gen::inRange(hv::kMsrStimer0Config, hv::kMsrStimer3Count + 1);
      const bool is_count = msr % 2 != 0;
      const std::uint64_t value =
          is_count ? *any_time : *rc::gen::inRange<std::uint64_t>(0, 0x100000) & 0xF1FFF;
      RC_ASSERT(timers.write(msr, value, now));
      std::size_t count = 0;
      while (const auto expiration = timers.expire(now)) {
        RC_ASSERT(++count <= 8u);
        if (expiration->message != nullptr && *rc::gen::arbitrary<bool>()) {
          timers.message_owner().set_free(expiration->timer);
        }
      }
      if (const auto due = timers.next_due(now, true)) {
        RC_ASSERT(*due - now < (1ull << 63));  // what was due has expired
      }
      now += *rc::gen::inRange<std::uint64_t>(0, 2000);
    }
  });
}
