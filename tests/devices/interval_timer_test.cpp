#include "partitions/devices/interval_timer.h"

#include <catch2/catch.hpp>

#include "tests/support/recording_device_platform.h"

using devices::IntervalTimer;
using test_support::LineChange;
using test_support::RecordingDevicePlatform;

namespace {

struct Fixture {
  RecordingDevicePlatform platform;
  IntervalTimer timer{platform, 0};

  void load(std::uint32_t channel, std::uint32_t mode, std::uint32_t count) {
    timer.write_port(0x43, 1, channel << 6 | 0x30 | mode << 1);
    const auto port = static_cast<std::uint16_t>(0x40 + channel);
    timer.write_port(port, 1, count & 0xFF);
    timer.write_port(port, 1, count >> 8);
  }
  std::uint32_t read_count(std::uint32_t channel) {
    const auto port = static_cast<std::uint16_t>(0x40 + channel);
    timer.write_port(0x43, 1, channel << 6);
    const std::uint32_t low = timer.read_port(port, 1);
    return timer.read_port(port, 1) << 8 | low;
  }
  std::size_t rises() const {
    return static_cast<std::size_t>(std::ranges::count(platform.line_changes, LineChange{0, true}));
  }
};

}  // namespace

TEST_CASE("a timer that nobody programmed is silent", "[devices][pit]") {
  Fixture fixture;
  fixture.platform.advance(10'000'000'000);
  REQUIRE(fixture.platform.line_changes.empty());
  REQUIRE(fixture.platform.timers.empty());
}

TEST_CASE("mode 2 interrupts at its rate without drift", "[devices][pit]") {
  Fixture fixture;
  fixture.load(0, 2, 11932);  // 100 Hz
  fixture.platform.advance(10'000'000'000);
  REQUIRE(fixture.rises() == 999);  // 11932 ticks are a little more than 10 ms
}

TEST_CASE("a count of zero is 65536", "[devices][pit]") {
  Fixture fixture;
  fixture.load(0, 3, 0);
  fixture.platform.advance(1'000'000'000);
  REQUIRE(fixture.rises() == 18);
}

TEST_CASE("mode 0 interrupts once and stays high", "[devices][pit]") {
  Fixture fixture;
  fixture.load(0, 0, 1193);
  fixture.platform.advance(999'000);
  REQUIRE(fixture.rises() == 0);
  fixture.platform.advance(2'000);
  REQUIRE(fixture.platform.level(0));
  fixture.platform.advance(1'000'000'000);
  REQUIRE(fixture.rises() == 1);
  fixture.load(0, 0, 1193);
  REQUIRE_FALSE(fixture.platform.level(0));
}

TEST_CASE("reprogramming the mode stops a running channel until a count comes", "[devices][pit]") {
  Fixture fixture;
  fixture.load(0, 2, 1000);
  fixture.timer.write_port(0x43, 1, 0x34);
  fixture.platform.advance(1'000'000'000);
  REQUIRE(fixture.rises() == 0);
}

TEST_CASE("a latched count stands still and falls by elapsed ticks", "[devices][pit]") {
  Fixture fixture;
  fixture.load(1, 2, 50'000);
  fixture.platform.now += 10'000'000;  // 11931 ticks
  REQUIRE(fixture.read_count(1) == 50'000 - 11'931);
  fixture.timer.write_port(0x43, 1, 0x40);
  const std::uint32_t low = fixture.timer.read_port(0x41, 1);
  fixture.platform.now += 10'000'000;
  REQUIRE((fixture.timer.read_port(0x41, 1) << 8 | low) == 50'000 - 11'931);
}

TEST_CASE("mode 3 counts by two", "[devices][pit]") {
  Fixture fixture;
  fixture.load(1, 3, 50'000);
  fixture.platform.now += 10'000'000;
  REQUIRE(fixture.read_count(1) == 50'000 - 2 * 11'931);
}

TEST_CASE("read back tells output, null count and mode", "[devices][pit]") {
  Fixture fixture;
  fixture.timer.write_port(0x43, 1, 0x70);  // channel 1, low then high, mode 0
  fixture.timer.write_port(0x43, 1, 0xE4);
  REQUIRE(fixture.timer.read_port(0x41, 1) == 0x70);  // no count loaded yet
  fixture.load(1, 0, 10);
  fixture.platform.now += 1'000'000;
  fixture.timer.write_port(0x43, 1, 0xE4);
  REQUIRE(fixture.timer.read_port(0x41, 1) == 0xB0);  // output high
}

TEST_CASE("the gate of channel 2 holds its count and port 0x61 shows its output",
          "[devices][pit]") {
  Fixture fixture;
  fixture.load(2, 0, 1193);
  fixture.platform.now += 10'000'000;
  REQUIRE((fixture.timer.read_port(0x61, 1) & 0x20) == 0);
  fixture.timer.write_port(0x61, 1, 0x01);
  fixture.platform.now += 999'000;
  REQUIRE((fixture.timer.read_port(0x61, 1) & 0x20) == 0);
  fixture.platform.now += 2'000;
  REQUIRE((fixture.timer.read_port(0x61, 1) & 0x21) == 0x21);
}

TEST_CASE("the refresh toggle of port 0x61 changes with time", "[devices][pit]") {
  Fixture fixture;
  const std::uint32_t first = fixture.timer.read_port(0x61, 1) & 0x10;
  fixture.platform.now += 15'085;
  REQUIRE((fixture.timer.read_port(0x61, 1) & 0x10) != first);
}
