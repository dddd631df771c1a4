#include "hv/apic/local_apic.h"

#include <rapidcheck.h>
#include <rapidcheck/catch.h>
#include <rapidcheck/state.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <vector>

#include "machine/x86.h"

namespace {

using hv::ApicWriteOutcome;
using hv::InterruptDelivery;
using hv::InterruptDestination;
using hv::LocalApic;
using hv::Trigger;
using Kind = ApicWriteOutcome::Kind;
namespace x86 = machine::x86;

struct Enabled {
  explicit Enabled(std::uint32_t id = 0x12) {
    apic.reset(id);
    REQUIRE(write(x86::kX2ApicSvr, 0x1FF) == Kind::kDone);
  }
  Kind write(std::uint32_t msr, std::uint64_t value, std::uint64_t tsc = 0) {
    return apic.write(msr, value, tsc).kind;
  }
  [[nodiscard]] std::uint64_t read(std::uint32_t msr, std::uint64_t tsc = 0) const {
    const auto value = apic.read(msr, tsc);
    REQUIRE(value);
    return *value;
  }
  /// Takes what is deliverable, as a processor with interrupts enabled does.
  std::optional<std::uint8_t> take() {
    const auto vector = apic.deliverable();
    if (vector) {
      apic.acknowledge(*vector);
    }
    return vector;
  }
  LocalApic apic;
};

}  // namespace

TEST_CASE("after power-up the APIC is disabled by software and masks its local vectors",
          "[hv][apic]") {
  LocalApic apic;
  apic.reset(0x12);
  CHECK_FALSE(apic.software_enabled());
  CHECK(apic.read(x86::kX2ApicId, 0) == 0x12);
  CHECK(apic.read(x86::kX2ApicSvr, 0) == 0xFF);
  CHECK(apic.read(x86::kX2ApicLdr, 0) == 0x0001'0004);
  for (std::uint32_t msr = x86::kX2ApicLvtTimer; msr <= x86::kX2ApicLvtError; ++msr) {
    CHECK(apic.read(msr, 0) == 0x10000);
  }
  CHECK_FALSE(apic.request(0x40));
  CHECK_FALSE(apic.deliverable());
}

TEST_CASE("what is not a register, or read-only, or write-only, faults", "[hv][apic]") {
  Enabled enabled;
  for (const std::uint32_t msr : {0x800u, 0x801u, 0x804u, 0x80Bu, 0x80Eu, 0x831u, 0x83Fu, 0x8FFu}) {
    CHECK_FALSE(enabled.apic.read(msr, 0));
  }
  for (const std::uint32_t msr :
       {0x800u, x86::kX2ApicId, x86::kX2ApicVersion, x86::kX2ApicPpr, x86::kX2ApicLdr,
        x86::kX2ApicIsr0, x86::kX2ApicIrr0, x86::kX2ApicTimerCurrentCount, 0x8FFu}) {
    CHECK(enabled.write(msr, 0) == Kind::kFault);
  }
}

TEST_CASE("reserved bits fault and change nothing", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.write(x86::kX2ApicTpr, 0x100) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicTpr, 1ull << 32) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicEoi, 1) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicSvr, 0x3FF) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicEsr, 1) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicTimerDivide, 4) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicLvtTimer, 0x60030) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicLvtTimer, 1u << 19) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicLvtError, 0x700) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicIcr, 1u << 20) == Kind::kFault);
  CHECK(enabled.write(x86::kX2ApicSelfIpi, 0x100) == Kind::kFault);
  CHECK(enabled.read(x86::kX2ApicSvr) == 0x1FF);
  CHECK(enabled.read(x86::kX2ApicLvtTimer) == 0x10000);
}

TEST_CASE("a higher priority class interrupts a lower one, and EOI goes back", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.apic.request(0x41));
  CHECK(enabled.take() == 0x41);
  CHECK(enabled.apic.request(0x45));
  CHECK_FALSE(enabled.take());  // the same class
  CHECK(enabled.apic.request(0x52));
  CHECK(enabled.take() == 0x52);
  CHECK(enabled.read(x86::kX2ApicPpr) == 0x50);
  CHECK(enabled.read(x86::kX2ApicIsr0 + 2) == ((1u << 1) | (1u << 18)));
  CHECK(enabled.read(x86::kX2ApicIrr0 + 2) == 1u << 5);
  CHECK(enabled.write(x86::kX2ApicEoi, 0) == Kind::kEndOfInterrupt);
  CHECK_FALSE(enabled.take());  // 0x41 is still in service
  CHECK(enabled.write(x86::kX2ApicEoi, 0) == Kind::kEndOfInterrupt);
  CHECK(enabled.take() == 0x45);
}

TEST_CASE("the task priority holds interrupts back, and CR8 is its upper half", "[hv][apic]") {
  Enabled enabled;
  enabled.apic.set_cr8(4);
  CHECK(enabled.read(x86::kX2ApicTpr) == 0x40);
  CHECK(enabled.apic.request(0x4F));
  CHECK_FALSE(enabled.apic.deliverable());
  CHECK(enabled.apic.any_requested());
  CHECK(enabled.write(x86::kX2ApicTpr, 0x3F) == Kind::kDone);
  CHECK(enabled.apic.cr8() == 3);
  CHECK(enabled.take() == 0x4F);
}

TEST_CASE("an auto-EOI interrupt is never in service", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.apic.request(0x41, Trigger::kEdge, true));
  CHECK(enabled.take() == 0x41);
  CHECK_FALSE(enabled.apic.in_service(0x41));
  CHECK(enabled.apic.request(0x41));
  CHECK(enabled.take() == 0x41);
  CHECK(enabled.apic.in_service(0x41));
}

TEST_CASE("the end of a level-triggered interrupt is reported", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.apic.request(0x41, Trigger::kLevel));
  CHECK(enabled.read(x86::kX2ApicTmr0 + 2) == 1u << 1);
  CHECK(enabled.take() == 0x41);
  const ApicWriteOutcome ended = enabled.apic.write(x86::kX2ApicEoi, 0, 0);
  CHECK(ended.level_vector == 0x41);
  CHECK(enabled.apic.request(0x42));
  CHECK(enabled.take() == 0x42);
  CHECK_FALSE(enabled.apic.end_of_interrupt());
  CHECK_FALSE(enabled.apic.end_of_interrupt());  // nothing is in service
}

TEST_CASE("a level request can be withdrawn until it is acknowledged, an edge one cannot",
          "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.apic.request(0x41, Trigger::kLevel));
  CHECK(enabled.apic.request(0x42, Trigger::kLevel));
  CHECK(enabled.take() == 0x42);
  CHECK(enabled.apic.request(0x81, Trigger::kLevel));
  CHECK(enabled.apic.request(0x91, Trigger::kEdge));
  enabled.apic.withdraw_level_triggered();
  CHECK(enabled.take() == 0x91);
  CHECK_FALSE(enabled.apic.end_of_interrupt());
  CHECK_FALSE(enabled.apic.deliverable());
  CHECK(enabled.apic.end_of_interrupt() == 0x42);
  CHECK_FALSE(enabled.apic.deliverable());
  CHECK(enabled.apic.request(0x41, Trigger::kEdge));
  enabled.apic.withdraw_level_triggered();
  CHECK(enabled.take() == 0x41);
}

TEST_CASE("vectors below 16 are refused with an error", "[hv][apic]") {
  Enabled enabled;
  CHECK_FALSE(enabled.apic.request(15));
  CHECK(enabled.write(x86::kX2ApicEsr, 0) == Kind::kDone);
  CHECK(enabled.read(x86::kX2ApicEsr) == 1u << 6);
  CHECK(enabled.write(x86::kX2ApicIcr, 0x0F) == Kind::kDone);
  CHECK(enabled.write(x86::kX2ApicSelfIpi, 3) == Kind::kDone);
  CHECK_FALSE(enabled.apic.any_requested());
  CHECK(enabled.write(x86::kX2ApicEsr, 0) == Kind::kDone);
  CHECK(enabled.read(x86::kX2ApicEsr) == 1u << 5);
}

TEST_CASE("an interrupt command says what to send to whom", "[hv][apic]") {
  Enabled enabled;
  ApicWriteOutcome outcome = enabled.apic.write(x86::kX2ApicIcr, 0x0000'0003'0000'0841, 0);
  CHECK(outcome.kind == Kind::kSendInterrupt);
  CHECK(outcome.command.delivery == InterruptDelivery::kFixed);
  CHECK(outcome.command.vector == 0x41);
  CHECK(outcome.command.destination.id == 3);
  CHECK(outcome.command.destination.logical);
  CHECK(enabled.read(x86::kX2ApicIcr) == 0x0000'0003'0000'0841);
  outcome = enabled.apic.write(x86::kX2ApicIcr, 0x000C'4500, 0);
  CHECK(outcome.command.delivery == InterruptDelivery::kInit);
  CHECK(outcome.command.shorthand == hv::DestinationShorthand::kAllButSelf);
  outcome = enabled.apic.write(x86::kX2ApicIcr, 0x0000'0001'0000'4610, 0);
  CHECK(outcome.command.delivery == InterruptDelivery::kStartup);
  CHECK(outcome.command.vector == 0x10);
  CHECK(enabled.write(x86::kX2ApicIcr, 0x0000'0001'0000'8500) == Kind::kDone);  // INIT deassert
  CHECK(enabled.write(x86::kX2ApicSelfIpi, 0x77) == Kind::kDone);
  CHECK(enabled.take() == 0x77);
}

TEST_CASE("the synthetic ICR's destination is the xAPIC's", "[hv][apic]") {
  CHECK(hv::x2apic_icr_from_xapic(0x0300'0000'0000'0041) == 0x0000'0003'0000'0041);
  CHECK(hv::x2apic_icr_from_xapic(0xFF00'0000'0000'0041) == 0xFFFF'FFFF'0000'0041);
  CHECK(hv::xapic_icr_from_x2apic(0x0000'0003'0000'0041) == 0x0300'0000'0000'0041);
}

TEST_CASE("a destination is an id, a set within a cluster, or everybody", "[hv][apic]") {
  LocalApic apic;
  apic.reset(0x25);
  REQUIRE(apic.set_mode(hv::ApicMode::kX2Apic));
  CHECK(apic.is_addressed_by({0x25, false}));
  CHECK_FALSE(apic.is_addressed_by({0x24, false}));
  CHECK(apic.is_addressed_by({InterruptDestination::kBroadcast, false}));
  CHECK(apic.is_addressed_by({InterruptDestination::kBroadcast, true}));
  CHECK(apic.is_addressed_by({0x0002'0020, true}));
  CHECK(apic.is_addressed_by({0x0002'FFFF, true}));
  CHECK_FALSE(apic.is_addressed_by({0x0002'0040, true}));
  CHECK_FALSE(apic.is_addressed_by({0x0001'0020, true}));
}

TEST_CASE("disabling by software masks the local vectors and refuses interrupts", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.write(x86::kX2ApicLvtTimer, 0x40) == Kind::kTimerChanged);
  CHECK(enabled.write(x86::kX2ApicSvr, 0xFF) == Kind::kDone);
  CHECK(enabled.read(x86::kX2ApicLvtTimer) == 0x10040);
  CHECK(enabled.write(x86::kX2ApicLvtTimer, 0x41) == Kind::kTimerChanged);
  CHECK(enabled.read(x86::kX2ApicLvtTimer) == 0x10041);
  CHECK_FALSE(enabled.apic.request(0x50));
}

TEST_CASE("a local interrupt pin does what its vector says", "[hv][apic]") {
  Enabled enabled;
  CHECK_FALSE(enabled.apic.local_interrupt(0));
  CHECK(enabled.write(x86::kX2ApicLvtLint0, x86::kLvtDeliveryExtInt) == Kind::kDone);
  REQUIRE(enabled.apic.local_interrupt(0));
  CHECK(enabled.apic.local_interrupt(0)->delivery == InterruptDelivery::kExtInt);
  CHECK(enabled.write(x86::kX2ApicLvtLint1, 0x400) == Kind::kDone);
  CHECK(enabled.apic.local_interrupt(1)->delivery == InterruptDelivery::kNmi);
}

TEST_CASE("the one-shot timer counts down once at the divided rate", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.write(x86::kX2ApicTimerDivide, 0) == Kind::kTimerChanged);  // by 2
  CHECK(enabled.write(x86::kX2ApicLvtTimer, 0x40) == Kind::kTimerChanged);
  CHECK(enabled.write(x86::kX2ApicTimerInitialCount, 100, 1000) == Kind::kTimerChanged);
  CHECK(enabled.apic.timer_deadline() == 1200);
  CHECK(enabled.read(x86::kX2ApicTimerCurrentCount, 1000) == 100);
  CHECK(enabled.read(x86::kX2ApicTimerCurrentCount, 1101) == 50);
  CHECK_FALSE(enabled.apic.expire_timer(1199));
  CHECK(enabled.apic.expire_timer(1200));
  CHECK(enabled.take() == 0x40);
  CHECK_FALSE(enabled.apic.timer_deadline());
  CHECK(enabled.read(x86::kX2ApicTimerCurrentCount, 1300) == 0);
}

TEST_CASE("the periodic timer goes on, and a masked one is silent", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.write(x86::kX2ApicTimerDivide, 0xB) == Kind::kTimerChanged);  // by 1
  CHECK(enabled.write(x86::kX2ApicLvtTimer, 0x20040) == Kind::kTimerChanged);
  CHECK(enabled.write(x86::kX2ApicTimerInitialCount, 100, 0) == Kind::kTimerChanged);
  CHECK(enabled.apic.expire_timer(350));
  CHECK(enabled.apic.timer_deadline() == 400);
  CHECK(enabled.read(x86::kX2ApicTimerCurrentCount, 350) == 50);
  CHECK(enabled.write(x86::kX2ApicLvtTimer, 0x30040) == Kind::kTimerChanged);
  CHECK_FALSE(enabled.apic.expire_timer(400));
  CHECK(enabled.apic.timer_deadline() == 500);
  CHECK(enabled.write(x86::kX2ApicTimerInitialCount, 0, 450) == Kind::kTimerChanged);
  CHECK_FALSE(enabled.apic.timer_deadline());
}

TEST_CASE("TSC-deadline mode is armed by its MSR and disarmed by a change of mode", "[hv][apic]") {
  Enabled enabled;
  enabled.apic.set_tsc_deadline(500, 0);
  CHECK(enabled.apic.tsc_deadline() == 0);  // another mode
  CHECK(enabled.write(x86::kX2ApicLvtTimer, 0x40040) == Kind::kTimerChanged);
  enabled.apic.set_tsc_deadline(500, 0);
  CHECK(enabled.apic.timer_deadline() == 500);
  CHECK(enabled.write(x86::kX2ApicTimerInitialCount, 100, 0) == Kind::kTimerChanged);
  CHECK(enabled.read(x86::kX2ApicTimerInitialCount) == 0);
  CHECK(enabled.apic.expire_timer(500));
  CHECK(enabled.apic.tsc_deadline() == 0);
  enabled.apic.set_tsc_deadline(900, 500);
  CHECK(enabled.write(x86::kX2ApicLvtTimer, 0x40) == Kind::kTimerChanged);
  CHECK_FALSE(enabled.apic.timer_deadline());
}

TEST_CASE("INIT resets all but the id", "[hv][apic]") {
  Enabled enabled(7);
  enabled.apic.request(0x50);
  enabled.apic.init();
  CHECK(enabled.apic.id() == 7);
  CHECK_FALSE(enabled.apic.software_enabled());
  CHECK_FALSE(enabled.apic.any_requested());
}

namespace {

/// The priority rules as sets: the highest request goes if its class is above everything.
struct Model {
  std::set<std::uint8_t> requested;
  std::vector<std::uint8_t> in_service;  // the innermost last
  std::uint8_t task_priority = 0;

  [[nodiscard]] std::optional<std::uint8_t> deliverable() const {
    if (requested.empty()) {
      return std::nullopt;
    }
    const std::uint8_t vector = *requested.rbegin();
    const int served = in_service.empty() ? 0 : in_service.back() / 16;
    return vector / 16 > std::max(served, task_priority / 16) ? std::optional(vector)
                                                              : std::nullopt;
  }
};

using Command = rc::state::Command<Model, Enabled>;

struct Request : Command {
  std::uint8_t vector = static_cast<std::uint8_t>(*rc::gen::inRange(16, 256));
  void apply(Model& model) const override { model.requested.insert(vector); }
  void run(const Model& model, Enabled& system) const override {
    RC_ASSERT(system.apic.request(vector));
    RC_ASSERT(system.apic.deliverable() == nextState(model).deliverable());
  }
};

struct Take : Command {
  void apply(Model& model) const override {
    if (const auto vector = model.deliverable()) {
      model.requested.erase(*vector);
      model.in_service.push_back(*vector);
    }
  }
  void run(const Model& model, Enabled& system) const override {
    RC_ASSERT(system.take() == model.deliverable());
    RC_ASSERT(system.apic.deliverable() == nextState(model).deliverable());
  }
};

struct EndOfInterrupt : Command {
  void apply(Model& model) const override {
    if (!model.in_service.empty()) {
      model.in_service.pop_back();
    }
  }
  void run(const Model& model, Enabled& system) const override {
    static_cast<void>(system.apic.end_of_interrupt());
    RC_ASSERT(system.apic.deliverable() == nextState(model).deliverable());
  }
};

struct SetPriority : Command {
  std::uint8_t priority = static_cast<std::uint8_t>(*rc::gen::inRange(0, 256));
  void apply(Model& model) const override { model.task_priority = priority; }
  void run(const Model& model, Enabled& system) const override {
    RC_ASSERT(system.write(x86::kX2ApicTpr, priority) == Kind::kDone);
    RC_ASSERT(system.apic.deliverable() == nextState(model).deliverable());
  }
};

}  // namespace

TEST_CASE("interrupts nest by priority class in any order of events", "[hv][apic]") {
  rc::prop("priorities", [] {
    Enabled system;
    rc::state::check(
        Model(), system,
        rc::state::gen::execOneOfWithArgs<Request, Request, Take, EndOfInterrupt, SetPriority>());
  });
}

TEST_CASE("no register write breaks a promise, and a fault changes nothing", "[hv][apic]") {
  rc::prop("hostile writes", [] {
    Enabled system;
    std::uint64_t tsc = 0;
    for (int step = 0; step < 60; ++step) {
      const std::uint32_t msr = *rc::gen::inRange(x86::kX2ApicFirst, x86::kX2ApicLast + 1);
      const std::uint64_t value = *rc::gen::oneOf(rc::gen::arbitrary<std::uint64_t>(),
                                                  rc::gen::inRange<std::uint64_t>(0, 0x80000));
      const auto before = system.apic.read(msr, tsc);
      if (system.write(msr, value, tsc) == Kind::kFault) {
        RC_ASSERT(system.apic.read(msr, tsc) == before);
      }
      static_cast<void>(system.take());
      tsc += *rc::gen::inRange<std::uint64_t>(0, 1'000'000);
      static_cast<void>(system.apic.expire_timer(tsc));
      if (const auto deadline = system.apic.timer_deadline()) {
        RC_ASSERT(*deadline > tsc);
      }
    }
  });
}

TEST_CASE("modes change only as the manual says, and being disabled forgets everything",
          "[hv][apic]") {
  using hv::ApicMode;
  const auto in_mode = [](ApicMode mode) {
    LocalApic apic;
    apic.reset(3);
    if (mode != ApicMode::kXapic) {
      REQUIRE(apic.set_mode(mode));
    }
    return apic;
  };
  constexpr std::array kModes = {ApicMode::kDisabled, ApicMode::kXapic, ApicMode::kX2Apic};
  for (const ApicMode from : kModes) {
    for (const ApicMode to : kModes) {
      LocalApic apic = in_mode(from);
      const bool legal = !(from == ApicMode::kX2Apic && to == ApicMode::kXapic) &&
                         !(from == ApicMode::kDisabled && to == ApicMode::kX2Apic);
      CHECK(apic.set_mode(to) == legal);
      CHECK(apic.mode() == (legal ? to : from));
    }
  }
  Enabled enabled;
  CHECK(enabled.write(x86::kX2ApicTpr, 0x20) == Kind::kDone);
  CHECK(enabled.apic.request(0x41));
  REQUIRE(enabled.apic.set_mode(ApicMode::kX2Apic));
  CHECK(enabled.read(x86::kX2ApicTpr) == 0x20);
  CHECK(enabled.apic.any_requested());
  REQUIRE(enabled.apic.set_mode(ApicMode::kDisabled));
  CHECK_FALSE(enabled.apic.request(0x41));
  CHECK_FALSE(enabled.apic.any_requested());
  CHECK_FALSE(enabled.apic.is_addressed_by({InterruptDestination::kBroadcast, false}));
  REQUIRE(enabled.apic.set_mode(ApicMode::kXapic));
  CHECK_FALSE(enabled.apic.software_enabled());
  CHECK(enabled.read(x86::kX2ApicTpr) == 0);
  CHECK(enabled.apic.id() == 0x12);
}

TEST_CASE("INIT leaves the mode as it is", "[hv][apic]") {
  Enabled enabled;
  REQUIRE(enabled.apic.set_mode(hv::ApicMode::kX2Apic));
  enabled.apic.init();
  CHECK(enabled.apic.mode() == hv::ApicMode::kX2Apic);
}

TEST_CASE("an xAPIC's logical destination is a bit of eight, or of four in a cluster",
          "[hv][apic]") {
  Enabled enabled;
  const auto set = [&](std::uint32_t format, std::uint32_t logical) {
    CHECK(enabled.apic.write_page(0xE0, 4, format, 0).kind == Kind::kDone);
    CHECK(enabled.apic.write_page(0xD0, 4, logical, 0).kind == Kind::kDone);
  };
  set(0xFFFF'FFFF, 0x0400'0000);
  CHECK(enabled.apic.is_addressed_by({0x04, true}));
  CHECK(enabled.apic.is_addressed_by({0x0C, true}));
  CHECK_FALSE(enabled.apic.is_addressed_by({0x03, true}));
  CHECK(enabled.apic.is_addressed_by({0xFF, true}));
  set(0x0FFF'FFFF, 0x2400'0000);  // cluster 2, bit 2
  CHECK(enabled.apic.is_addressed_by({0x24, true}));
  CHECK(enabled.apic.is_addressed_by({0x2F, true}));
  CHECK_FALSE(enabled.apic.is_addressed_by({0x14, true}));
  CHECK_FALSE(enabled.apic.is_addressed_by({0x2B, true}));
  CHECK(enabled.apic.is_addressed_by({0xFF, true}));
  CHECK(enabled.apic.is_addressed_by({0x12, false}));
  CHECK(enabled.apic.read_page(0xE0, 4, 0) == 0x0FFF'FFFF);
  CHECK(enabled.apic.read_page(0xD0, 4, 0) == 0x2400'0000);
}

TEST_CASE("the page's command has its destination in a register of its own", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.apic.write_page(0x310, 4, 0x0300'0000, 0).kind == Kind::kDone);
  const ApicWriteOutcome sent = enabled.apic.write_page(0x300, 4, 0xFFF0'0841, 0);
  CHECK(sent.kind == Kind::kSendInterrupt);  // reserved bits do not count
  CHECK(sent.command.destination.id == 3);
  CHECK(sent.command.destination.logical);
  CHECK(enabled.apic.read_page(0x310, 4, 0) == 0x0300'0000);
  CHECK(enabled.apic.write_page(0x310, 4, 0xFF00'0000, 0).kind == Kind::kDone);
  CHECK(enabled.apic.write_page(0x300, 4, 0x41, 0).command.destination.id ==
        InterruptDestination::kBroadcast);
}

TEST_CASE("an error's interrupt comes once, until the ESR is written", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.write(x86::kX2ApicLvtError, 0x61) == Kind::kDone);
  CHECK(enabled.apic.read_page(0x3F0, 4, 0) == 0);
  CHECK(enabled.take() == 0x61);
  static_cast<void>(enabled.apic.end_of_interrupt());
  CHECK(enabled.apic.read_page(0x400, 4, 0) == 0);
  CHECK_FALSE(enabled.take());
  CHECK(enabled.write(x86::kX2ApicEsr, 0) == Kind::kDone);
  CHECK(enabled.read(x86::kX2ApicEsr) == 1u << 7);
  CHECK_FALSE(enabled.apic.request(3));
  CHECK(enabled.take() == 0x61);
}

TEST_CASE("with the broadcast of EOIs suppressed nobody is told of a level's end", "[hv][apic]") {
  Enabled enabled;
  CHECK(enabled.write(x86::kX2ApicSvr, 0x11FF) == Kind::kDone);
  CHECK(enabled.apic.request(0x41, Trigger::kLevel));
  CHECK(enabled.take() == 0x41);
  CHECK_FALSE(enabled.apic.write(x86::kX2ApicEoi, 0, 0).level_vector);
}

TEST_CASE("every divide value counts at its rate", "[hv][apic]") {
  constexpr std::array<std::pair<std::uint32_t, std::uint64_t>, 8> kDivisors = {
      {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}}};
  for (const auto& [configuration, divisor] : kDivisors) {
    Enabled enabled;
    CHECK(enabled.write(x86::kX2ApicTimerDivide, configuration) == Kind::kTimerChanged);
    CHECK(enabled.write(x86::kX2ApicLvtTimer, 0x40) == Kind::kTimerChanged);
    CHECK(enabled.write(x86::kX2ApicTimerInitialCount, 100, 1000) == Kind::kTimerChanged);
    CHECK(enabled.apic.timer_deadline() == 1000 + 100 * divisor);
  }
}

TEST_CASE("the page and the MSRs show the same registers, and no access to the page faults",
          "[hv][apic]") {
  rc::prop("any accesses", [] {
    Enabled system;
    std::uint64_t tsc = 0;
    for (int step = 0; step < 60; ++step) {
      const auto offset = *rc::gen::oneOf(
          rc::gen::inRange(0u, 0x1000u),
          rc::gen::map(rc::gen::inRange(0u, 0x40u), [](std::uint32_t n) { return n * 16; }));
      const auto size = *rc::gen::element(1u, 2u, 4u, 4u, 4u, 8u);
      if (*rc::gen::arbitrary<bool>()) {
        const auto value = *rc::gen::oneOf(rc::gen::arbitrary<std::uint64_t>(),
                                           rc::gen::inRange<std::uint64_t>(0, 0x80000));
        RC_ASSERT(system.apic.write_page(offset, size, value, tsc).kind != Kind::kFault);
      } else {
        const std::uint64_t shown = system.apic.read_page(offset, size, tsc);
        RC_ASSERT(size == 8 || shown >> (8 * size) == 0);
      }
      for (const std::uint32_t msr :
           {x86::kX2ApicTpr, x86::kX2ApicPpr, x86::kX2ApicSvr, x86::kX2ApicLvtTimer,
            x86::kX2ApicLvtCmci, x86::kX2ApicIrr0 + 2, x86::kX2ApicTimerCurrentCount}) {
        const std::uint32_t at = (msr - x86::kX2ApicFirst) * 16;
        RC_ASSERT(system.apic.read_page(at, 4, tsc) == system.read(msr, tsc));
      }
      static_cast<void>(system.take());
      tsc += *rc::gen::inRange<std::uint64_t>(0, 1'000'000);
      static_cast<void>(system.apic.expire_timer(tsc));
    }
  });
}

TEST_CASE("a local APIC that was saved is the same when it is restored", "[hv][apic]") {
  rc::prop("in any state", [] {
    Enabled from(0x12);
    if (*rc::gen::arbitrary<bool>()) {
      RC_ASSERT(from.apic.set_mode(hv::ApicMode::kX2Apic));
    }
    std::uint64_t tsc = 1000;
    const auto steps = *rc::gen::container<std::vector<std::pair<int, std::uint32_t>>>(
        rc::gen::pair(rc::gen::inRange(0, 6), rc::gen::arbitrary<std::uint32_t>()));
    for (const auto& [step, value] : steps) {
      tsc += value & 0xFFFF;
      switch (step) {
        case 0:
          from.apic.request(static_cast<std::uint8_t>(value | 0x10),
                            (value & 0x100) != 0 ? Trigger::kLevel : Trigger::kEdge);
          break;
        case 1:
          static_cast<void>(from.take());
          break;
        case 2:
          static_cast<void>(from.write(x86::kX2ApicLvtTimer, value & 0x3'00FF, tsc));
          break;
        case 3:
          static_cast<void>(from.write(x86::kX2ApicTimerInitialCount, value, tsc));
          break;
        case 4:
          static_cast<void>(from.write(x86::kX2ApicTimerDivide, value & 0xB, tsc));
          break;
        default:
          static_cast<void>(from.write(x86::kX2ApicIcr, value & 0xC'CFFF, tsc));
          break;
      }
      static_cast<void>(from.apic.expire_timer(tsc));
    }
    hv::LocalApicState saved;
    from.apic.save(saved, tsc);
    Enabled to(0x12);
    const bool moved =
        from.apic.mode() == hv::ApicMode::kXapic || to.apic.set_mode(from.apic.mode());
    RC_ASSERT(moved);
    RC_ASSERT(to.apic.restore(saved, {}, tsc + 5000));
    hv::LocalApicState again;
    to.apic.save(again, tsc + 5000);
    RC_ASSERT(std::memcmp(&saved, &again, sizeof(saved)) == 0);
    // And it goes on as the other does.
    to.apic.set_task_priority(from.apic.task_priority());
    RC_ASSERT(to.apic.deliverable() == from.apic.deliverable());
  });
}

TEST_CASE("vectors that end by themselves do so after they were restored", "[hv][apic]") {
  Enabled from;
  REQUIRE(from.apic.request(0x40, Trigger::kEdge, true));
  hv::LocalApicState saved;
  from.apic.save(saved, 0);
  hv::VectorSet auto_eoi;
  auto_eoi.add(0x40);
  Enabled to;
  REQUIRE(to.apic.restore(saved, auto_eoi, 0));
  CHECK(to.take() == 0x40);
  CHECK_FALSE(to.apic.in_service(0x40));
}
