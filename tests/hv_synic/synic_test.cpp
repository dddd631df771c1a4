#include "hv/synic/synic.h"

#include <catch2/catch.hpp>
#include <vector>

#include "hv/synic/ended_interrupts.h"
#include "hv/tlfs/timers.h"
#include "tests/hv_synic/message_source.h"

namespace {

using hv::MessageHeader;
using hv::SintRegister;
using hv::SintSet;
using hv::Status;
using hv::Synic;
using synic_test::Fixture;
using synic_test::MessageSource;
using test_support::SpaAccess;
using WriteEffect = Synic::WriteEffect;

SintSet only(std::uint32_t sint) {
  SintSet set;
  set.add(sint);
  return set;
}

struct Ready : Fixture {
  Ready() {
    enable();
    unmask(2);
    memory.log.clear();
  }
  MessageSource source;
};

}  // namespace

TEST_CASE("the SynIC's registers have the interface's reset values", "[hv][synic]") {
  Fixture fixture;
  CHECK(fixture.synic.read(hv::kMsrScontrol) == 0);
  CHECK(fixture.synic.read(hv::kMsrSversion) == 1);
  CHECK(fixture.synic.read(hv::kMsrSiefp) == 0);
  CHECK(fixture.synic.read(hv::kMsrSimp) == 0);
  CHECK(fixture.synic.read(hv::kMsrEom) == 0);
  for (std::uint32_t sint = 0; sint < 16; ++sint) {
    CHECK(fixture.synic.read(hv::kMsrSint0 + sint) == 0x10000);
  }
  CHECK(fixture.memory.get<std::uint64_t>(synic_test::slot_address(15) + 248) == 0);
}

TEST_CASE("the SynIC's registers read back what was written, preserved bits included",
          "[hv][synic]") {
  Fixture fixture;
  CHECK(fixture.synic.write(hv::kMsrScontrol, 0xFFFFFFFFFFFFFFFF) == WriteEffect::kDeliver);
  CHECK(fixture.synic.read(hv::kMsrScontrol) == 0xFFFFFFFFFFFFFFFF);
  CHECK(fixture.synic.write(hv::kMsrSimp, 0x12FFF) == WriteEffect::kMessagePage);
  CHECK(fixture.synic.read(hv::kMsrSimp) == 0x12FFF);
  CHECK(fixture.synic.simp().page() == machine::Gpn(0x12));
  CHECK(fixture.synic.write(hv::kMsrSiefp, 0x34FFE) == WriteEffect::kEventFlagsPage);
  CHECK(fixture.synic.read(hv::kMsrSiefp) == 0x34FFE);
  CHECK_FALSE(fixture.synic.siefp().enabled());
  CHECK(fixture.synic.write(hv::kMsrSint0 + 7, 0xFFFFFFFFFFE0FF30) == WriteEffect::kDeliver);
  CHECK(fixture.synic.read(hv::kMsrSint0 + 7) == 0xFFFFFFFFFFE0FF30);
}

TEST_CASE("SVERSION cannot be written, nor an unmasked SINT with a vector below 16",
          "[hv][synic]") {
  Fixture fixture;
  CHECK(fixture.synic.write(hv::kMsrSversion, 1) == WriteEffect::kFault);
  CHECK(fixture.synic.write(hv::kMsrSint0, 15) == WriteEffect::kFault);
  CHECK(fixture.synic.read(hv::kMsrSint0) == 0x10000);
  CHECK(fixture.synic.write(hv::kMsrSint0, 16) == WriteEffect::kDeliver);
  CHECK(fixture.synic.write(hv::kMsrSint0, 0x10000) == WriteEffect::kDeliver);
}

TEST_CASE("a message goes to its slot, its type last, and asks for the interrupt", "[hv][synic]") {
  Ready ready;
  CHECK(ready.synic.post(2, *ready.source.make(42), 0) == only(2));
  const hv::Message message = synic_test::slot(ready.memory, 2);
  CHECK(message.header.type == hv::MessageType{5});
  CHECK(message.header.payload_size == 8);
  CHECK(message.header.flags == 0);
  CHECK(message.header.origination == synic_test::kOrigination);
  CHECK(synic_test::number_in(message) == 42);
  REQUIRE_FALSE(ready.memory.log.empty());
  const SpaAccess& last = ready.memory.log.back();
  CHECK(last.kind == SpaAccess::Kind::kStore);
  CHECK(last.address == synic_test::slot_address(2));
  CHECK(last.size_bytes == 4);
  CHECK(ready.source.owner.busy_buffers() == 0);
}

TEST_CASE("a full slot gets the pending flag, and nothing else in it changes", "[hv][synic]") {
  Ready ready;
  static_cast<void>(ready.synic.post(2, *ready.source.make(1), 0));
  ready.memory.log.clear();
  CHECK(ready.synic.post(2, *ready.source.make(2), 0).empty());
  for (const SpaAccess& access : ready.memory.log) {
    if (access.kind != SpaAccess::Kind::kLoad) {
      CHECK(access.kind == SpaAccess::Kind::kLocked);
      CHECK(access.address == synic_test::slot_address(2) + 5);
      CHECK(access.size_bytes == 1);
    }
  }
  const auto taken = synic_test::take(ready.memory, 2);
  REQUIRE(taken);
  CHECK(taken->number == 1);
  CHECK(taken->pending);
  CHECK(ready.synic.deliver(0) == only(2));  // EOM
  CHECK(synic_test::take(ready.memory, 2)->number == 2);
}

TEST_CASE("a slot that empties at any moment of a post loses no message", "[hv][synic]") {
  // The guest takes the first message before the k-th access of the second post.
  for (std::size_t moment = 0; moment < 4; ++moment) {
    Ready ready;
    static_cast<void>(ready.synic.post(2, *ready.source.make(1), 0));
    ready.memory.log.clear();
    bool must_write_eom = false;
    bool taken = false;
    ready.memory.before_access = [&](const SpaAccess&) {
      if (ready.memory.log.size() == moment && !taken) {
        taken = true;
        must_write_eom = synic_test::take(ready.memory, 2)->pending;
      }
    };
    const SintSet interrupts = ready.synic.post(2, *ready.source.make(2), 0);
    ready.memory.before_access = nullptr;
    INFO("moment " << moment);
    if (!taken) {
      must_write_eom = synic_test::take(ready.memory, 2)->pending;
    }
    CHECK((!interrupts.empty() || must_write_eom));
    if (interrupts.empty()) {
      CHECK(ready.synic.deliver(0) == only(2));
    }
    CHECK(synic_test::take(ready.memory, 2)->number == 2);
  }
}

TEST_CASE("a delivered message tells whether more are waiting behind it", "[hv][synic]") {
  Ready ready;
  for (std::uint64_t number = 1; number <= 3; ++number) {
    static_cast<void>(ready.synic.post(2, *ready.source.make(number), 0));
  }
  CHECK(synic_test::take(ready.memory, 2)->pending);
  static_cast<void>(ready.synic.deliver(0));
  const auto second = synic_test::take(ready.memory, 2);
  CHECK(second->number == 2);
  CHECK(second->pending);
  static_cast<void>(ready.synic.deliver(0));
  const auto third = synic_test::take(ready.memory, 2);
  CHECK(third->number == 3);
  CHECK_FALSE(third->pending);
  CHECK_FALSE(ready.synic.any_queued());
}

TEST_CASE("a masked SINT keeps its messages until the guest asks, and then does not interrupt",
          "[hv][synic]") {
  Ready ready;
  ready.unmask(2, SintRegister::kMasked);
  CHECK(ready.synic.post(2, *ready.source.make(1), 0).empty());
  CHECK_FALSE(synic_test::take(ready.memory, 2));
  SECTION("EOM") {
    CHECK(ready.synic.deliver(0).empty());
    CHECK(synic_test::take(ready.memory, 2)->number == 1);
  }
  SECTION("unmasked") {
    ready.unmask(2);
    CHECK(ready.synic.deliver(0) == only(2));
    CHECK(synic_test::take(ready.memory, 2)->number == 1);
  }
}

TEST_CASE("a polled SINT gets messages and flags without interrupts", "[hv][synic]") {
  Ready ready;
  ready.unmask(2, SintRegister::kPolling | SintRegister::kMasked);
  CHECK(ready.synic.post(2, *ready.source.make(1), 0).empty());
  CHECK(synic_test::take(ready.memory, 2)->number == 1);
  Synic::EventOutcome outcome;
  CHECK(ready.synic.signal(2, 9, outcome) == Status::kSuccess);
  CHECK(outcome.newly_set);
  CHECK(outcome.interrupts.empty());
}

TEST_CASE("a processor without SynIC or message page is no target, and what is queued waits",
          "[hv][synic]") {
  Ready ready;
  CHECK(ready.synic.accepts_messages(2));
  SECTION("SynIC disabled") {
    static_cast<void>(ready.synic.write(hv::kMsrScontrol, 0));
    CHECK_FALSE(ready.synic.accepts_messages(2));
    static_cast<void>(ready.synic.post(2, *ready.source.make(1), 0));
    CHECK_FALSE(synic_test::take(ready.memory, 2));
    static_cast<void>(ready.synic.write(hv::kMsrScontrol, 1));
  }
  SECTION("message page disabled") {
    static_cast<void>(ready.synic.write(hv::kMsrSimp, 0x5000));
    CHECK_FALSE(ready.synic.accepts_messages(2));
    static_cast<void>(ready.synic.post(2, *ready.source.make(1), 0));
    CHECK_FALSE(synic_test::take(ready.memory, 2));
    static_cast<void>(ready.synic.write(hv::kMsrSimp, 0x5001));
  }
  CHECK(ready.synic.deliver(0) == only(2));
  CHECK(synic_test::take(ready.memory, 2)->number == 1);
}

TEST_CASE("an event flag interrupts when it becomes set, not while it is", "[hv][synic]") {
  Ready ready;
  const std::uint64_t area = synic_test::kEventPage.value() * machine::kPageSize + 2 * 256;
  for (const std::uint32_t flag : {0u, 1u, 63u, 64u, 77u, 2047u}) {
    Synic::EventOutcome outcome;
    CHECK(ready.synic.signal(2, flag, outcome) == Status::kSuccess);
    CHECK(outcome.newly_set);
    CHECK(outcome.interrupts == only(2));
    CHECK((ready.memory.get<std::uint8_t>(area + flag / 8) >> (flag % 8) & 1) == 1);
    CHECK(ready.synic.signal(2, flag, outcome) == Status::kSuccess);
    CHECK_FALSE(outcome.newly_set);
    CHECK(outcome.interrupts.empty());
  }
}

TEST_CASE("an event that cannot be signalled leaves its flag clear", "[hv][synic]") {
  Ready ready;
  const std::uint64_t area = synic_test::kEventPage.value() * machine::kPageSize + 2 * 256;
  SECTION("SynIC disabled") { static_cast<void>(ready.synic.write(hv::kMsrScontrol, 0)); }
  SECTION("flags page disabled") { static_cast<void>(ready.synic.write(hv::kMsrSiefp, 0x6000)); }
  SECTION("SINT masked") { ready.unmask(2, SintRegister::kMasked); }
  Synic::EventOutcome outcome;
  CHECK(ready.synic.signal(2, 9, outcome) == Status::kInvalidSynicState);
  CHECK_FALSE(outcome.newly_set);
  CHECK(ready.memory.get<std::uint64_t>(area) == 0);
}

TEST_CASE("dropping an owner's messages leaves the others in order and frees its buffers",
          "[hv][synic]") {
  Ready ready;
  MessageSource other;
  static_cast<void>(ready.synic.post(2, *ready.source.make(1), 0));
  static_cast<void>(ready.synic.post(2, *ready.source.make(2), 0));
  static_cast<void>(ready.synic.post(2, *other.make(3), 0));
  static_cast<void>(ready.synic.post(2, *ready.source.make(4), 0));
  static_cast<void>(ready.synic.post(2, *other.make(5), 0));
  ready.synic.drop(ready.source.owner);
  CHECK(ready.source.owner.busy_buffers() == 0);
  std::vector<std::uint64_t> numbers;
  while (const auto taken = synic_test::take(ready.memory, 2)) {
    numbers.push_back(taken->number);
    static_cast<void>(ready.synic.deliver(0));
  }
  CHECK(numbers == std::vector<std::uint64_t>{1, 3, 5});  // 1 was in the slot already
}

TEST_CASE("a reset drops what is queued and clears both pages", "[hv][synic]") {
  Ready ready;
  static_cast<void>(ready.synic.post(2, *ready.source.make(1), 0));
  static_cast<void>(ready.synic.post(2, *ready.source.make(2), 0));
  ready.synic.reset();
  CHECK(ready.source.owner.busy_buffers() == 0);
  CHECK_FALSE(ready.synic.any_queued());
  CHECK_FALSE(synic_test::take(ready.memory, 2));
  CHECK(ready.synic.read(hv::kMsrSint0 + 2) == SintRegister::kReset);
}

TEST_CASE("a timer message carries the time when it reached the slot", "[hv][synic]") {
  Ready ready;
  hv::MessageOwner owner;
  hv::TimerExpiredPayload payload;
  payload.timer_index = 3;
  payload.expiration_time_100ns = 500;
  hv::QueuedMessage message;
  message.owner = &owner;
  message.header.type = hv::MessageType::kTimerExpired;
  message.header.payload_size = sizeof(payload);
  message.on_delivery = hv::OnDelivery::kTime;
  message.payload = reinterpret_cast<const std::byte*>(&payload);
  static_cast<void>(ready.synic.post(2, *ready.source.make(1), 0));
  owner.set_busy(0);
  CHECK(ready.synic.post(2, message, 600).empty());
  static_cast<void>(synic_test::take(ready.memory, 2));
  CHECK(ready.synic.deliver(700) == only(2));
  const auto delivered =
      ready.memory.get<hv::TimerExpiredPayload>(synic_test::slot_address(2) + 16);
  CHECK(delivered.timer_index == 3);
  CHECK(delivered.expiration_time_100ns == 500);
  CHECK(delivered.delivery_time_100ns == 700);
  CHECK_FALSE(owner.is_busy(0));
}

TEST_CASE("every interrupt that ended is told, one after another, once for each vector",
          "[hv][synic]") {
  Ready ready;
  hv::EndedInterrupts ended(hv::VpIndex{3});
  const auto vector_told = [&] {
    const auto message = ready.memory.get<hv::ApicEoiMessage>(synic_test::slot_address(2) + 16);
    CHECK(message.vp == hv::VpIndex{3});
    CHECK(synic_test::slot(ready.memory, 2).header.type == hv::MessageType::kX64ApicEoi);
    static_cast<void>(synic_test::take(ready.memory, 2));
    return message.vector;
  };
  REQUIRE(ended.add(0xFF));
  CHECK(ready.synic.post(2, ended.message(), 0) == only(2));
  // The slot is full: the next waits, and what comes then goes with it.
  REQUIRE(ended.add(0x41));
  CHECK(ready.synic.post(2, ended.message(), 0).empty());
  CHECK_FALSE(ended.add(0x91));
  CHECK_FALSE(ended.add(0x91));
  CHECK(vector_told() == 0xFF);
  CHECK(ready.synic.deliver(0) == only(2));
  // The guest must know that it has to write EOM.
  CHECK((synic_test::slot(ready.memory, 2).header.flags & hv::MessageHeader::kMessagePending) != 0);
  CHECK(vector_told() == 0x41);
  CHECK(ready.synic.deliver(0) == only(2));
  CHECK(vector_told() == 0x91);
  CHECK(ready.synic.deliver(0).empty());
  CHECK_FALSE(ended.is_busy(0));
}

TEST_CASE("what ends while its message reaches the slot is told too", "[hv][synic]") {
  Ready ready;
  hv::EndedInterrupts ended(hv::VpIndex{0});
  REQUIRE(ended.add(0x41));
  bool added = false;
  ready.memory.before_access = [&](const test_support::SpaAccess& access) {
    if (!added && access.kind == test_support::SpaAccess::Kind::kWrite) {
      added = true;
      CHECK_FALSE(ended.add(0x42));
    }
  };
  CHECK(ready.synic.post(2, ended.message(), 0) == only(2));
  REQUIRE(added);
  CHECK(synic_test::take(ready.memory, 2));
  CHECK(ready.synic.deliver(0) == only(2));
  const auto message = ready.memory.get<hv::ApicEoiMessage>(synic_test::slot_address(2) + 16);
  CHECK(message.vector == 0x42);
}

TEST_CASE("a parent that empties its slot at once is told at once what else ended", "[hv][synic]") {
  Ready ready;
  hv::EndedInterrupts ended(hv::VpIndex{0});
  REQUIRE(ended.add(0x41));
  std::vector<std::uint32_t> told;
  ready.memory.before_access = [&](const test_support::SpaAccess& access) {
    if (access.kind == test_support::SpaAccess::Kind::kWrite && told.empty()) {
      CHECK_FALSE(ended.add(0x42));
      CHECK_FALSE(ended.add(0x43));
    }
    // The slot is looked at before it is filled: somebody has taken what was there.
    if (access.kind == test_support::SpaAccess::Kind::kLoad &&
        synic_test::slot(ready.memory, 2).header.type != hv::MessageType::kNone) {
      told.push_back(ready.memory.get<hv::ApicEoiMessage>(synic_test::slot_address(2) + 16).vector);
      static_cast<void>(synic_test::take(ready.memory, 2));
    }
  };
  CHECK(ready.synic.post(2, ended.message(), 0) == only(2));
  ready.memory.before_access = nullptr;
  CHECK(told == std::vector<std::uint32_t>{0x41, 0x42});
  CHECK(ready.memory.get<hv::ApicEoiMessage>(synic_test::slot_address(2) + 16).vector == 0x43);
  CHECK_FALSE(ended.is_busy(0));
}
