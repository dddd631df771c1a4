#include "sim/local_apic.h"

#include <catch2/catch.hpp>
#include <vector>

#include "machine/x86.h"
#include "sim/event_queue.h"

namespace {

namespace x86 = machine::x86;

struct RecordingHost final : sim::ApicHost {
  void send_interrupt(const sim::InterruptCommand& command) override { sent.push_back(command); }
  void set_timer(std::uint64_t at_tsc) override { timer = at_tsc; }
  void interrupt_request_changed() override { ++changes; }
  std::uint64_t now_tsc() override { return now; }
  std::uint8_t acknowledge_external() override { return 0x21; }
  void broadcast_end_of_interrupt(std::uint8_t vector) override { ended.push_back(vector); }

  std::vector<sim::InterruptCommand> sent;
  std::vector<std::uint8_t> ended;
  std::uint64_t timer = 0;
  std::uint64_t now = 1000;
  std::uint32_t changes = 0;
};

struct Fixture {
  Fixture() {
    REQUIRE(
        apic.write(x86::kMsrApicBase, *apic.read(x86::kMsrApicBase) | x86::kApicBaseX2ApicEnable));
  }
  RecordingHost host;
  sim::LocalApic apic{host, 3, true};
};

}  // namespace

TEST_CASE("the x2APIC's registers exist only in x2APIC mode", "[sim][apic]") {
  RecordingHost host;
  sim::LocalApic apic(host, 3, true);
  CHECK_FALSE(apic.read(x86::kX2ApicId).has_value());
  CHECK(apic.write(x86::kMsrApicBase, *apic.read(x86::kMsrApicBase) | x86::kApicBaseX2ApicEnable));
  CHECK(apic.read(x86::kX2ApicId) == 3);
  CHECK_FALSE(apic.write(x86::kX2ApicId, 1));
}

TEST_CASE("the highest request is taken first, lower ones after its end", "[sim][apic]") {
  Fixture fixture;
  sim::LocalApic& apic = fixture.apic;
  apic.accept(0x40);
  apic.accept(0x80);
  REQUIRE(apic.requests_interrupt());
  CHECK(apic.acknowledge() == 0x80);
  CHECK_FALSE(apic.requests_interrupt());
  CHECK(apic.write(x86::kX2ApicEoi, 0));
  REQUIRE(apic.requests_interrupt());
  CHECK(apic.acknowledge() == 0x40);
}

TEST_CASE("the end of a level-triggered interrupt is broadcast, unless that is turned off",
          "[sim][apic]") {
  Fixture fixture;
  sim::LocalApic& apic = fixture.apic;
  apic.accept(0x41, true);
  CHECK(apic.read(x86::kX2ApicTmr0 + 2) == 1u << 1);
  REQUIRE(apic.acknowledge() == 0x41);
  CHECK(apic.write(x86::kX2ApicEoi, 0));
  CHECK(fixture.host.ended == std::vector<std::uint8_t>{0x41});
  apic.accept(0x41);
  CHECK(apic.read(x86::kX2ApicTmr0 + 2) == 0);
  REQUIRE(apic.acknowledge() == 0x41);
  CHECK(apic.write(x86::kX2ApicEoi, 0));
  CHECK(fixture.host.ended.size() == 1);
  CHECK(apic.write(x86::kX2ApicSvr, x86::kApicSoftwareEnable | 0x1000 | 0xFF));
  apic.accept(0x41, true);
  REQUIRE(apic.acknowledge() == 0x41);
  CHECK(apic.write(x86::kX2ApicEoi, 0));
  CHECK(fixture.host.ended.size() == 1);
}

TEST_CASE("the task priority holds lower requests back", "[sim][apic]") {
  Fixture fixture;
  CHECK(fixture.apic.write(x86::kX2ApicTpr, 0x50));
  fixture.apic.accept(0x40);
  CHECK_FALSE(fixture.apic.requests_interrupt());
  CHECK(fixture.apic.read(x86::kX2ApicIrr0 + 2) == 1);
  CHECK(fixture.apic.write(x86::kX2ApicTpr, 0));
  CHECK(fixture.apic.requests_interrupt());
}

TEST_CASE("LINT0 passes the external controller through on the boot processor", "[sim][apic]") {
  Fixture fixture;
  fixture.apic.set_lint0(true);
  REQUIRE(fixture.apic.requests_interrupt());
  CHECK(fixture.apic.acknowledge() == 0x21);
  // An external interrupt goes into no service here.
  CHECK(fixture.apic.read(x86::kX2ApicIsr0 + 1) == 0);
  CHECK(fixture.apic.write(x86::kX2ApicLvtLint0, x86::kLvtMasked | x86::kLvtDeliveryExtInt));
  CHECK_FALSE(fixture.apic.requests_interrupt());
}

TEST_CASE("a TSC deadline is armed, told and spent", "[sim][apic]") {
  Fixture fixture;
  CHECK(fixture.apic.write(x86::kX2ApicLvtTimer, x86::kLvtTimerTscDeadline | 0x60));
  CHECK(fixture.apic.write(x86::kMsrTscDeadline, 5000));
  CHECK(fixture.host.timer == 5000);
  CHECK(fixture.apic.read(x86::kMsrTscDeadline) == 5000);
  fixture.apic.timer_expired();
  CHECK(fixture.apic.read(x86::kMsrTscDeadline) == 0);
  CHECK(fixture.apic.acknowledge() == 0x60);
  CHECK(fixture.apic.write(x86::kMsrTscDeadline, 0));
  CHECK(fixture.host.timer == sim::kNever);
}

TEST_CASE("the count timer repeats in periodic mode", "[sim][apic]") {
  Fixture fixture;
  CHECK(fixture.apic.write(x86::kX2ApicTimerDivide, 0xB));
  CHECK(fixture.apic.write(x86::kX2ApicLvtTimer, x86::kLvtTimerPeriodic | 0x60));
  CHECK(fixture.apic.write(x86::kX2ApicTimerInitialCount, 400));
  CHECK(fixture.host.timer == 1400);
  fixture.host.now = 1100;
  CHECK(fixture.apic.read(x86::kX2ApicTimerCurrentCount) == 300);
  fixture.host.now = 1400;
  fixture.apic.timer_expired();
  CHECK(fixture.host.timer == 1800);
}

TEST_CASE("an interrupt command is decoded whole", "[sim][apic]") {
  Fixture fixture;
  CHECK(fixture.apic.write(x86::kX2ApicIcr, (std::uint64_t{7} << 32) | 0x4431));
  REQUIRE(fixture.host.sent.size() == 1);
  CHECK(fixture.host.sent[0].vector == 0x31);
  CHECK(fixture.host.sent[0].destination == 7);
  CHECK(fixture.host.sent[0].delivery == sim::InterruptCommand::Delivery::kNmi);
  CHECK_FALSE(fixture.apic.write(x86::kX2ApicIcr, 1u << 13));
}
