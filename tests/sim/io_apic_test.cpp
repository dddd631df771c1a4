#include "sim/io_apic.h"

#include <catch2/catch.hpp>
#include <vector>

namespace {

struct Sent {
  std::uint8_t destination = 0;
  std::uint8_t vector = 0;
  bool level = false;
  friend bool operator==(const Sent&, const Sent&) = default;
};

struct RecordingHost final : sim::IoApicHost {
  void send_interrupt(std::uint8_t destination, std::uint8_t vector, bool level) override {
    sent.push_back({destination, vector, level});
  }
  std::vector<Sent> sent;
};

struct Fixture {
  void set(std::uint32_t number, std::uint32_t value) {
    apic.write(0x00, number);
    apic.write(0x10, value);
  }
  std::uint32_t get(std::uint32_t number) {
    apic.write(0x00, number);
    return apic.read(0x10);
  }
  void program(std::uint32_t pin, std::uint32_t lower, std::uint8_t destination = 0) {
    set(0x11 + 2 * pin, std::uint32_t{destination} << 24);
    set(0x10 + 2 * pin, lower);
  }
  RecordingHost host;
  sim::IoApic apic{host};
};

constexpr std::uint32_t kLevel = 1u << 15;
constexpr std::uint32_t kMasked = 1u << 16;
constexpr std::uint32_t kRemoteRequest = 1u << 14;

}  // namespace

TEST_CASE("an I/O APIC starts with 24 masked entries", "[sim][ioapic]") {
  Fixture fixture;
  CHECK(fixture.get(1) == 0x0017'0011);
  for (std::uint32_t pin = 0; pin < sim::IoApic::kPins; ++pin) {
    CHECK(fixture.get(0x10 + 2 * pin) == kMasked);
    fixture.apic.set_line(pin, true);
  }
  fixture.apic.set_line(99, true);
  CHECK(fixture.get(0x40) == 0);
  CHECK(fixture.apic.read(0x20) == 0);
  CHECK(fixture.host.sent.empty());
}

TEST_CASE("an edge is an interrupt each time the line rises", "[sim][ioapic]") {
  Fixture fixture;
  fixture.program(3, 0x51, 2);
  fixture.apic.set_line(3, true);
  fixture.apic.set_line(3, true);
  fixture.apic.set_line(3, false);
  fixture.apic.set_line(3, true);
  CHECK(fixture.host.sent == std::vector<Sent>{{2, 0x51, false}, {2, 0x51, false}});
  // What comes while the entry is masked is lost.
  fixture.program(3, kMasked | 0x51, 2);
  fixture.apic.set_line(3, false);
  fixture.apic.set_line(3, true);
  fixture.program(3, 0x51, 2);
  CHECK(fixture.host.sent.size() == 2);
}

TEST_CASE("a level is an interrupt once, and again if it is there at the end", "[sim][ioapic]") {
  Fixture fixture;
  fixture.program(4, kLevel | 0x61);
  fixture.apic.set_line(4, true);
  CHECK(fixture.get(0x18) == (kLevel | kRemoteRequest | 0x61));
  fixture.apic.set_line(4, false);
  fixture.apic.set_line(4, true);
  CHECK(fixture.host.sent.size() == 1);
  fixture.apic.end_of_interrupt(0x62);
  CHECK(fixture.host.sent.size() == 1);
  fixture.apic.end_of_interrupt(0x61);
  CHECK(fixture.host.sent == std::vector<Sent>{{0, 0x61, true}, {0, 0x61, true}});
  fixture.apic.set_line(4, false);
  fixture.apic.end_of_interrupt(0x61);
  CHECK(fixture.host.sent.size() == 2);
  CHECK(fixture.get(0x18) == (kLevel | 0x61));
}

TEST_CASE("a level that is there when its entry is opened is an interrupt", "[sim][ioapic]") {
  Fixture fixture;
  fixture.apic.set_line(4, true);
  fixture.program(4, kLevel | 0x61);
  CHECK(fixture.host.sent.size() == 1);
  // Remote IRR is not the program's to write, and ends with the trigger mode.
  fixture.program(4, 0x61);
  CHECK(fixture.get(0x18) == 0x61);
  fixture.program(4, kLevel | kRemoteRequest | 0x61);
  CHECK(fixture.host.sent.size() == 2);
  // A line that is active when low.
  fixture.program(5, kLevel | 1u << 13 | 0x71);
  CHECK(fixture.host.sent.size() == 3);
}
