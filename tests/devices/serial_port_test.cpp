#include "partitions/devices/serial_port.h"

#include <catch2/catch.hpp>

#include "tests/support/recording_device_platform.h"

using devices::SerialPort;
using test_support::LineChange;
using test_support::RecordingConsole;
using test_support::RecordingDevicePlatform;

namespace {

struct Fixture {
  RecordingDevicePlatform platform;
  RecordingConsole console;
  SerialPort port{platform, console, 0x3F8, 4};

  std::uint32_t read(std::uint32_t index) {
    return port.read_port(static_cast<std::uint16_t>(0x3F8 + index), 1);
  }
  void write(std::uint32_t index, std::uint32_t value) {
    port.write_port(static_cast<std::uint16_t>(0x3F8 + index), 1, value);
  }
};

}  // namespace

TEST_CASE("what is written to the transmitter reaches the sink in order", "[devices][uart]") {
  Fixture fixture;
  for (const char character : std::string("[root] up\n")) {
    REQUIRE((fixture.read(5) & 0x60) == 0x60);
    fixture.write(0, static_cast<std::uint8_t>(character));
  }
  REQUIRE(fixture.console.text == "[root] up\n");
}

TEST_CASE("the divisor latch hides data and interrupt enable", "[devices][uart]") {
  Fixture fixture;
  fixture.write(3, 0x83);
  fixture.write(0, 0x01);
  fixture.write(1, 0x02);
  REQUIRE(fixture.console.text.empty());
  REQUIRE(fixture.read(0) == 0x01);
  REQUIRE(fixture.read(1) == 0x02);
  fixture.write(3, 0x03);
  REQUIRE(fixture.read(1) == 0x00);
}

TEST_CASE("the transmitter interrupt rises when enabled and falls when read", "[devices][uart]") {
  Fixture fixture;
  fixture.write(4, 0x08);
  fixture.write(1, 0x02);
  REQUIRE(fixture.platform.line_changes == std::vector<LineChange>{{4, true}});
  REQUIRE(fixture.read(2) == 0x02);
  REQUIRE_FALSE(fixture.platform.level(4));
  REQUIRE(fixture.read(2) == 0x01);
  fixture.write(0, 'x');
  REQUIRE(fixture.platform.level(4));
}

TEST_CASE("without OUT2 no interrupt leaves the port", "[devices][uart]") {
  Fixture fixture;
  fixture.write(1, 0x03);
  fixture.port.receive('a');
  REQUIRE(fixture.platform.line_changes.empty());
  fixture.write(4, 0x08);
  REQUIRE(fixture.platform.level(4));
}

TEST_CASE("received characters come out in order and ready shows them", "[devices][uart]") {
  Fixture fixture;
  fixture.write(2, 0x01);
  fixture.write(4, 0x08);
  fixture.write(1, 0x01);
  fixture.port.receive('a');
  fixture.port.receive('b');
  REQUIRE(fixture.platform.level(4));
  REQUIRE((fixture.read(2) & 0x0F) == 0x04);
  REQUIRE((fixture.read(5) & 0x01) == 0x01);
  REQUIRE(fixture.read(0) == 'a');
  REQUIRE(fixture.read(0) == 'b');
  REQUIRE((fixture.read(5) & 0x01) == 0x00);
  REQUIRE_FALSE(fixture.platform.level(4));
}

TEST_CASE("below the trigger the cause is a time-out", "[devices][uart]") {
  Fixture fixture;
  fixture.write(2, 0xC1);
  fixture.write(1, 0x01);
  fixture.port.receive('a');
  REQUIRE(fixture.read(2) == 0xCC);
  for (int count = 1; count < 14; ++count) {
    fixture.port.receive('b');
  }
  REQUIRE(fixture.read(2) == 0xC4);
}

TEST_CASE("a full receiver overruns, which reading the status clears", "[devices][uart]") {
  Fixture fixture;
  fixture.write(2, 0x01);
  fixture.write(1, 0x05);
  for (int count = 0; count < 17; ++count) {
    fixture.port.receive(static_cast<std::uint8_t>(count));
  }
  REQUIRE((fixture.read(2) & 0x0F) == 0x06);
  REQUIRE((fixture.read(5) & 0x02) == 0x02);
  REQUIRE((fixture.read(5) & 0x02) == 0x00);
  REQUIRE(fixture.read(0) == 0);
}

TEST_CASE("without FIFO a second character replaces the first", "[devices][uart]") {
  Fixture fixture;
  fixture.port.receive('a');
  fixture.port.receive('b');
  REQUIRE((fixture.read(5) & 0x03) == 0x03);
  REQUIRE(fixture.read(0) == 'b');
}

TEST_CASE("in loop mode what is sent comes back and nothing leaves", "[devices][uart]") {
  Fixture fixture;
  fixture.write(4, 0x1B);
  fixture.write(0, 0x5A);
  REQUIRE(fixture.read(0) == 0x5A);
  REQUIRE(fixture.console.text.empty());
  REQUIRE((fixture.read(6) & 0xF0) == 0xB0);
}

TEST_CASE("scratch holds and identification tells a 16550A", "[devices][uart]") {
  Fixture fixture;
  fixture.write(7, 0xA5);
  REQUIRE(fixture.read(7) == 0xA5);
  fixture.write(2, 0x07);
  REQUIRE(fixture.read(2) == 0xC1);
}
