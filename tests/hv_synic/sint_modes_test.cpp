// The modes of a SINT: intercepted, proxy, polling; and messages that must go to their slot at
// once.
#include <catch2/catch.hpp>
#include <vector>

#include "tests/hv_synic/message_source.h"

namespace {

using hv::SintRegister;
using hv::SintSet;
using hv::Status;
using hv::Synic;
using synic_test::Fixture;
using synic_test::MessageSource;
using WriteEffect = Synic::WriteEffect;

SintSet set_of(std::initializer_list<std::uint32_t> sints) {
  SintSet set;
  for (const std::uint32_t sint : sints) {
    set.add(sint);
  }
  return set;
}

struct Ready : Fixture {
  Ready() {
    enable();
    unmask(0);
    unmask(2);
    unmask(5, SintRegister::kAsIntercept);
    unmask(7, SintRegister::kAsIntercept);
    memory.log.clear();
  }
  /// Which SINT the message in SINT0's slot speaks of; the slot is empty afterwards.
  std::uint32_t told() {
    const hv::Message message = synic_test::slot(memory, 0);
    CHECK(message.header.type == hv::MessageType::kSynicSintIntercept);
    CHECK(message.header.payload_size == sizeof(hv::SynicSintInterceptMessage));
    CHECK(message.header.origination == 0);
    static_cast<void>(synic_test::take(memory, 0));
    return static_cast<std::uint32_t>(synic_test::number_in(message) & 0xFFFFFFFF);
  }
  MessageSource source;
};

}  // namespace

TEST_CASE("a SINT's vector is 16 or more, or 0 where it is masked", "[hv][synic]") {
  Fixture fixture;
  for (const std::uint32_t sint : {0u, 1u, 2u, 15u}) {
    const std::uint32_t msr = hv::kMsrSint0 + sint;
    for (const std::uint64_t bits :
         {std::uint64_t{0}, SintRegister::kPolling, SintRegister::kAutoEoi}) {
      for (const std::uint64_t vector : {0u, 1u, 15u}) {
        CHECK(fixture.synic.write(msr, bits | vector) == WriteEffect::kFault);
        CHECK(fixture.synic.read(msr) == SintRegister::kReset);
      }
    }
    CHECK(fixture.synic.write(msr, SintRegister::kMasked | 15) == WriteEffect::kFault);
    CHECK(fixture.synic.write(msr, SintRegister::kMasked | 1) == WriteEffect::kFault);
    CHECK(fixture.synic.write(msr, SintRegister::kMasked | 16) == WriteEffect::kDeliver);
    CHECK(fixture.synic.write(msr, 255) == WriteEffect::kDeliver);
    CHECK(fixture.synic.write(msr, SintRegister::kMasked) == WriteEffect::kDeliver);
    CHECK(fixture.synic.write(msr, SintRegister::kMasked | SintRegister::kPolling) ==
          WriteEffect::kDeliver);
  }
}

TEST_CASE("an intercepted SINT has a message in SINT0 for an interrupt", "[hv][synic]") {
  Ready ready;
  SintSet asked = ready.synic.post(5, *ready.source.make(1), 0);
  CHECK(asked == set_of({5}));
  CHECK(ready.synic.intercept(asked) == set_of({0}));
  CHECK(ready.told() == 5);
  CHECK(synic_test::take(ready.memory, 5)->number == 1);
  Synic::EventOutcome outcome;
  CHECK(ready.synic.signal(7, 3, outcome) == Status::kSuccess);
  CHECK(ready.synic.intercept(outcome.interrupts) == set_of({0}));
  CHECK(ready.told() == 7);
  CHECK_FALSE(ready.synic.any_queued());
}

TEST_CASE("other SINTs interrupt beside intercepted ones", "[hv][synic]") {
  Ready ready;
  CHECK(ready.synic.intercept({}).empty());
  CHECK(ready.synic.intercept(set_of({2})) == set_of({2}));
  CHECK(ready.synic.intercept(set_of({2, 5})) == set_of({0, 2}));
  CHECK(ready.told() == 5);
}

TEST_CASE("intercepted SINTs are told one after another, each once", "[hv][synic]") {
  Ready ready;
  static_cast<void>(ready.synic.post(0, *ready.source.make(1), 0));  // the slot is full
  CHECK(ready.synic.intercept(set_of({7})).empty());
  CHECK(ready.synic.intercept(set_of({5})).empty());
  CHECK(ready.synic.intercept(set_of({7})).empty());
  CHECK(synic_test::take(ready.memory, 0)->pending);
  CHECK(ready.synic.deliver(0) == set_of({0}));
  // The guest must know that it has to write EOM for the other one.
  CHECK((synic_test::slot(ready.memory, 0).header.flags & hv::MessageHeader::kMessagePending) != 0);
  CHECK(ready.told() == 5);
  CHECK(ready.synic.deliver(0) == set_of({0}));
  CHECK(ready.told() == 7);
  CHECK(ready.synic.deliver(0).empty());
  CHECK(ready.synic.intercept(set_of({7})) == set_of({0}));
  CHECK(ready.told() == 7);
}

TEST_CASE("an intercept waits for a masked SINT0, and a reset forgets it", "[hv][synic]") {
  Ready ready;
  ready.unmask(0, SintRegister::kMasked);
  CHECK(ready.synic.intercept(set_of({5})).empty());
  CHECK(ready.synic.is_queued(0));
  SECTION("unmasked") {
    ready.unmask(0);
    CHECK(ready.synic.deliver(0) == set_of({0}));
    CHECK(ready.told() == 5);
  }
  SECTION("reset") {
    ready.synic.reset();
    CHECK_FALSE(ready.synic.any_queued());
    ready.enable();
    ready.unmask(0);
    ready.unmask(7, SintRegister::kAsIntercept);
    CHECK(ready.synic.intercept(set_of({7})) == set_of({0}));
    CHECK(ready.told() == 7);
    CHECK_FALSE(ready.synic.any_queued());
  }
}

TEST_CASE("SINT0 cannot be intercepted: it interrupts", "[hv][synic]") {
  Ready ready;
  ready.unmask(0, SintRegister::kAsIntercept);
  CHECK(ready.synic.intercept(set_of({0})) == set_of({0}));
  CHECK(ready.synic.intercept(set_of({5})) == set_of({0}));
  CHECK(ready.told() == 5);
}

TEST_CASE("a polled SINT is not told of either", "[hv][synic]") {
  Ready ready;
  ready.unmask(5, SintRegister::kAsIntercept | SintRegister::kPolling);
  CHECK(ready.synic.post(5, *ready.source.make(1), 0).empty());
  CHECK(synic_test::take(ready.memory, 5)->number == 1);
  CHECK_FALSE(synic_test::take(ready.memory, 0));
}

TEST_CASE("a proxy SINT keeps its bit and is no target", "[hv][synic]") {
  Ready ready;
  ready.unmask(2, SintRegister::kProxy);
  CHECK(ready.synic.read(hv::kMsrSint0 + 2) == (0x32 | SintRegister::kProxy));
  CHECK_FALSE(ready.synic.accepts_messages(2));
  CHECK_FALSE(ready.synic.accepts_events(2));
  Synic::EventOutcome outcome;
  CHECK(ready.synic.signal(2, 0, outcome) == Status::kInvalidSynicState);
  SintSet interrupts;
  CHECK(ready.synic.post_at_once(2, *ready.source.make(1), interrupts) ==
        Status::kInvalidSynicState);
  CHECK(ready.synic.accepts_messages(3));
}

TEST_CASE("a message that cannot wait goes to an empty slot or nowhere", "[hv][synic]") {
  Ready ready;
  hv::QueuedMessage& first = *ready.source.make(1);
  SintSet interrupts;
  CHECK(ready.synic.post_at_once(2, first, interrupts) == Status::kSuccess);
  CHECK(interrupts == set_of({2}));
  CHECK(ready.synic.post_at_once(2, first, interrupts) == Status::kObjectInUse);
  CHECK(interrupts.empty());
  const auto taken = synic_test::take(ready.memory, 2);
  CHECK(taken->number == 1);
  CHECK(taken->pending);  // so the guest writes EOM
  SECTION("never before what waits already") {
    ready.unmask(2, SintRegister::kMasked);
    static_cast<void>(ready.synic.post(2, *ready.source.make(2), 0));
    CHECK(ready.synic.post_at_once(2, first, interrupts) == Status::kInvalidSynicState);
    ready.unmask(2);
    CHECK(ready.synic.post_at_once(2, first, interrupts) == Status::kObjectInUse);
    CHECK(ready.synic.deliver(0) == set_of({2}));
    CHECK(synic_test::take(ready.memory, 2)->number == 2);
  }
  SECTION("polled") {
    ready.unmask(2, SintRegister::kPolling | SintRegister::kMasked);
    CHECK(ready.synic.post_at_once(2, first, interrupts) == Status::kSuccess);
    CHECK(interrupts.empty());
    CHECK(synic_test::take(ready.memory, 2));
  }
  SECTION("disabled") {
    static_cast<void>(ready.synic.write(hv::kMsrScontrol, 0));
    CHECK(ready.synic.post_at_once(2, first, interrupts) == Status::kInvalidSynicState);
    static_cast<void>(ready.synic.write(hv::kMsrScontrol, 1));
    static_cast<void>(ready.synic.write(hv::kMsrSimp, 0x5000));
    CHECK(ready.synic.post_at_once(2, first, interrupts) == Status::kInvalidSynicState);
  }
  CHECK_FALSE(synic_test::take(ready.memory, 2));
}
