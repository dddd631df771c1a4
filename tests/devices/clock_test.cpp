#include "partitions/devices/clock.h"

#include <catch2/catch.hpp>

#include "tests/support/recording_device_platform.h"

using devices::Clock;
using test_support::RecordingDevicePlatform;

namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
/// 2024-02-29 13:14:15, a Thursday.
constexpr std::uint64_t kLeapDay = 762'527'655;

struct Fixture {
  RecordingDevicePlatform platform;
  Clock clock{platform, 8, kLeapDay};

  std::uint32_t read(std::uint8_t index) {
    clock.write_port(0x70, 1, index);
    return clock.read_port(0x71, 1);
  }
  void write(std::uint8_t index, std::uint8_t value) {
    clock.write_port(0x70, 1, index);
    clock.write_port(0x71, 1, value);
  }
};

}  // namespace

TEST_CASE("the clock shows the date in packed decimals", "[devices][rtc]") {
  Fixture fixture;
  REQUIRE(fixture.read(0x00) == 0x15);
  REQUIRE(fixture.read(0x02) == 0x14);
  REQUIRE(fixture.read(0x04) == 0x13);
  REQUIRE(fixture.read(0x06) == 5);  // Thursday
  REQUIRE(fixture.read(0x07) == 0x29);
  REQUIRE(fixture.read(0x08) == 0x02);
  REQUIRE(fixture.read(0x09) == 0x24);
  REQUIRE(fixture.read(0x32) == 0x20);
  REQUIRE(fixture.read(0x0D) == 0x80);
}

TEST_CASE("the clock carries over the end of February", "[devices][rtc]") {
  Fixture fixture;
  fixture.platform.now = 86'400 * kSecondNs;
  REQUIRE(fixture.read(0x07) == 0x01);
  REQUIRE(fixture.read(0x08) == 0x03);
}

TEST_CASE("register B selects binary and twelve hours", "[devices][rtc]") {
  Fixture fixture;
  fixture.write(0x0B, 0x04);
  REQUIRE(fixture.read(0x04) == (0x80 | 1));
  REQUIRE(fixture.read(0x09) == 24);
}

TEST_CASE("SET holds the clock, and what was written goes on from there", "[devices][rtc]") {
  Fixture fixture;
  fixture.write(0x0B, 0x82);
  fixture.write(0x00, 0x30);
  fixture.write(0x04, 0x08);
  fixture.platform.now += 100 * kSecondNs;
  REQUIRE(fixture.read(0x00) == 0x30);
  fixture.write(0x0B, 0x02);
  REQUIRE(fixture.read(0x04) == 0x08);
  fixture.platform.now += 5 * kSecondNs;
  REQUIRE(fixture.read(0x00) == 0x35);
}

TEST_CASE("update in progress shows before each second", "[devices][rtc]") {
  Fixture fixture;
  REQUIRE((fixture.read(0x0A) & 0x80) == 0);
  fixture.platform.now = kSecondNs - 100'000;
  REQUIRE((fixture.read(0x0A) & 0x80) == 0x80);
}

TEST_CASE("the periodic interrupt comes at its rate and waits for register C", "[devices][rtc]") {
  Fixture fixture;
  fixture.write(0x0B, 0x42);  // rate 6: 1024 Hz
  fixture.platform.advance(2'000'000);
  REQUIRE(fixture.platform.line_changes.size() == 1);
  REQUIRE(fixture.platform.level(8));
  REQUIRE(fixture.read(0x0C) == 0xC0);
  REQUIRE_FALSE(fixture.platform.level(8));
  fixture.platform.advance(1'000'000);
  REQUIRE(fixture.platform.level(8));
}

TEST_CASE("the alarm fires at its time only, once", "[devices][rtc]") {
  Fixture fixture;
  fixture.write(0x01, 0x20);
  fixture.write(0x03, 0xC0);  // any minute
  fixture.write(0x05, 0xFF);  // any hour
  fixture.write(0x0B, 0x22);
  fixture.platform.advance(4 * kSecondNs);
  REQUIRE_FALSE(fixture.platform.level(8));
  fixture.platform.advance(kSecondNs);
  REQUIRE(fixture.platform.level(8));
  REQUIRE((fixture.read(0x0C) & 0xA0) == 0xA0);
}

TEST_CASE("a clock without enabled interrupts schedules nothing", "[devices][rtc]") {
  Fixture fixture;
  REQUIRE(fixture.platform.timers.empty());
  fixture.write(0x0B, 0x52);
  REQUIRE(fixture.platform.timers.size() == 2);
  fixture.write(0x0B, 0x02);
  REQUIRE(fixture.platform.timers.empty());
}

TEST_CASE("memory bytes hold what was written", "[devices][rtc]") {
  Fixture fixture;
  fixture.write(0x40, 0x5A);
  REQUIRE(fixture.read(0xC0) == 0x5A);  // bit 7 of the index is the NMI gate
}
