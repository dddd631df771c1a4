#include "partitions/devices/interrupt_controller.h"

#include <catch2/catch.hpp>

#include "tests/support/recording_device_platform.h"

using devices::InterruptController;
using test_support::RecordingInterruptPin;

namespace {

/// A pair initialised as every PC operating system does: vectors 0x20 and 0x28, nothing masked.
struct Fixture {
  RecordingInterruptPin pin;
  InterruptController pair{pin};

  explicit Fixture(std::uint8_t word4 = 0x01) {
    initialize(0x20, 0x20, 0x04, word4);
    initialize(0xA0, 0x28, 0x02, word4);
  }
  void initialize(std::uint16_t port, std::uint8_t vector, std::uint8_t wiring,
                  std::uint8_t word4) {
    const auto data = static_cast<std::uint16_t>(port + 1);
    pair.write_port(port, 1, 0x11);
    pair.write_port(data, 1, vector);
    pair.write_port(data, 1, wiring);
    pair.write_port(data, 1, word4);
    pair.write_port(data, 1, 0x00);
  }
  void pulse(std::uint32_t line) {
    pair.set_line(line, false);
    pair.set_line(line, true);
  }
  std::uint32_t in_service(std::uint16_t port) {
    pair.write_port(port, 1, 0x0B);
    return pair.read_port(port, 1);
  }
  std::uint32_t requests(std::uint16_t port) {
    pair.write_port(port, 1, 0x0A);
    return pair.read_port(port, 1);
  }
};

}  // namespace

TEST_CASE("a rising edge requests an interrupt with the line's vector", "[devices][pic]") {
  Fixture fixture;
  REQUIRE_FALSE(fixture.pin.level());
  fixture.pair.set_line(4, true);
  REQUIRE(fixture.pin.level());
  REQUIRE(fixture.pair.acknowledge() == 0x24);
  REQUIRE_FALSE(fixture.pin.level());
  REQUIRE(fixture.in_service(0x20) == 0x10);
}

TEST_CASE("a secondary line comes through the cascade and needs two ends", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.set_line(14, true);
  REQUIRE(fixture.pair.acknowledge() == 0x2E);
  REQUIRE(fixture.in_service(0x20) == 0x04);
  REQUIRE(fixture.in_service(0xA0) == 0x40);

  fixture.pair.set_line(15, true);  // lower priority than 14: waits for its end
  REQUIRE_FALSE(fixture.pin.level());
  fixture.pair.write_port(0xA0, 1, 0x20);
  REQUIRE_FALSE(fixture.pin.level());  // the primary's cascade level is still in service
  fixture.pair.write_port(0x20, 1, 0x20);
  REQUIRE(fixture.pin.level());
  REQUIRE(fixture.pair.acknowledge() == 0x2F);
}

TEST_CASE("a line that stays high does not interrupt again when edge triggered", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.set_line(3, true);
  REQUIRE(fixture.pair.acknowledge() == 0x23);
  fixture.pair.write_port(0x20, 1, 0x20);
  REQUIRE_FALSE(fixture.pin.level());
  fixture.pulse(3);
  REQUIRE(fixture.pin.level());
}

TEST_CASE("a level triggered line interrupts again while it is high", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.write_port(0x4D1, 1, 0xFF);
  REQUIRE(fixture.pair.read_port(0x4D1, 1) == 0xDE);  // lines 8 and 13 stay edge triggered
  fixture.pair.set_line(11, true);
  REQUIRE(fixture.pair.acknowledge() == 0x2B);
  fixture.pair.write_port(0xA0, 1, 0x20);
  fixture.pair.write_port(0x20, 1, 0x20);
  REQUIRE(fixture.pin.level());
  fixture.pair.set_line(11, false);
  REQUIRE_FALSE(fixture.pin.level());
}

TEST_CASE("a masked line waits and is delivered when it is unmasked", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.write_port(0x21, 1, 0x10);
  REQUIRE(fixture.pair.read_port(0x21, 1) == 0x10);
  fixture.pair.set_line(4, true);
  REQUIRE_FALSE(fixture.pin.level());
  REQUIRE(fixture.requests(0x20) == 0x10);
  fixture.pair.write_port(0x21, 1, 0x00);
  REQUIRE(fixture.pin.level());
}

TEST_CASE("a higher line nests and a lower one waits", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.set_line(4, true);
  REQUIRE(fixture.pair.acknowledge() == 0x24);
  fixture.pair.set_line(7, true);
  REQUIRE_FALSE(fixture.pin.level());
  fixture.pair.set_line(1, true);
  REQUIRE(fixture.pin.level());
  REQUIRE(fixture.pair.acknowledge() == 0x21);
  fixture.pair.write_port(0x20, 1, 0x20);  // ends the highest in service: 1
  REQUIRE(fixture.in_service(0x20) == 0x10);
  REQUIRE_FALSE(fixture.pin.level());
  fixture.pair.write_port(0x20, 1, 0x64);  // specific end of 4
  REQUIRE(fixture.pin.level());
  REQUIRE(fixture.pair.acknowledge() == 0x27);
}

TEST_CASE("a request that is gone before its acknowledge is spurious 7", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.set_line(4, true);
  fixture.pair.set_line(4, false);
  REQUIRE_FALSE(fixture.pin.level());
  REQUIRE(fixture.pair.acknowledge() == 0x27);
  REQUIRE(fixture.in_service(0x20) == 0x00);
}

TEST_CASE("a spurious secondary interrupt leaves only the cascade in service", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.write_port(0x4D0, 2, 0x0000);
  fixture.pair.set_line(14, true);
  // The processor has begun its acknowledge when the secondary masks the line.
  fixture.pair.write_port(0x21, 1, 0xFB);
  REQUIRE(fixture.pin.level());
  fixture.pair.set_line(14, false);
  REQUIRE(fixture.pair.acknowledge() == 0x27);
  REQUIRE(fixture.in_service(0xA0) == 0x00);
}

TEST_CASE("automatic end leaves nothing in service", "[devices][pic]") {
  Fixture fixture(0x03);
  fixture.pair.set_line(14, true);
  REQUIRE(fixture.pair.acknowledge() == 0x2E);
  REQUIRE(fixture.in_service(0x20) == 0x00);
  REQUIRE(fixture.in_service(0xA0) == 0x00);
  fixture.pair.set_line(1, true);
  REQUIRE(fixture.pair.acknowledge() == 0x21);
}

TEST_CASE("rotation makes the ended level the lowest", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.set_line(0, true);
  REQUIRE(fixture.pair.acknowledge() == 0x20);
  fixture.pair.write_port(0x20, 1, 0xA0);  // rotate on non-specific end
  fixture.pulse(0);
  fixture.pair.set_line(1, true);
  REQUIRE(fixture.pair.acknowledge() == 0x21);
}

TEST_CASE("a poll acknowledges without the processor", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.write_port(0x20, 1, 0x0C);
  REQUIRE(fixture.pair.read_port(0x20, 1) == 0x00);
  fixture.pair.set_line(5, true);
  fixture.pair.write_port(0x20, 1, 0x0C);
  REQUIRE(fixture.pair.read_port(0x20, 1) == 0x85);
  REQUIRE_FALSE(fixture.pin.level());
  REQUIRE(fixture.in_service(0x20) == 0x20);
}

TEST_CASE("special mask mode lets lower levels through a masked one", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.set_line(3, true);
  REQUIRE(fixture.pair.acknowledge() == 0x23);
  fixture.pair.write_port(0x21, 1, 0x08);
  fixture.pair.write_port(0x20, 1, 0x68);
  fixture.pair.set_line(6, true);
  REQUIRE(fixture.pin.level());
  REQUIRE(fixture.pair.acknowledge() == 0x26);
}

TEST_CASE("initialisation forgets requests, service and mask", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.set_line(3, true);
  fixture.pair.write_port(0x21, 1, 0xFF);
  fixture.initialize(0x20, 0x40, 0x04, 0x01);
  REQUIRE_FALSE(fixture.pin.level());  // the line must fall and rise again
  fixture.pulse(3);
  REQUIRE(fixture.pair.acknowledge() == 0x43);
}

TEST_CASE("a chip that is being initialised requests nothing", "[devices][pic]") {
  Fixture fixture;
  fixture.pair.write_port(0x20, 1, 0x11);
  fixture.pulse(3);
  REQUIRE_FALSE(fixture.pin.level());
}
