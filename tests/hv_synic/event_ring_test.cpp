// Doorbells in the event ring of a SINT, against a root that empties it as Linux does.
#include <rapidcheck.h>
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>
#include <deque>
#include <vector>

#include "hv/synic/event_ring.h"
#include "tests/hv_synic/message_source.h"

namespace {

using hv::EventRingLayout;
using hv::PortId;
using hv::SintRegister;
using hv::SintSet;
using hv::Status;
using machine::Spn;

constexpr Spn kRingPage{102};
constexpr std::uint32_t kSint = 5;

std::uint64_t ring_address(std::uint32_t sint) {
  return kRingPage.value() * machine::kPageSize + sint * sizeof(EventRingLayout);
}

/// The consumer: what it found, and whether it asks for more.
class Consumer {
 public:
  explicit Consumer(test_support::FakeSpaMemory& memory) : memory_(memory) {}
  [[nodiscard]] EventRingLayout layout() const {
    return memory_.get<EventRingLayout>(ring_address(kSint));
  }
  std::optional<std::uint32_t> take() {
    const std::uint64_t entry = ring_address(kSint) + 4 + 4 * tail_;
    const auto id = memory_.get<std::uint32_t>(entry);
    if (id == 0) {
      return std::nullopt;
    }
    memory_.set(entry, std::uint32_t{0});
    tail_ = (tail_ + 1) % EventRingLayout::kEntries;
    return id;
  }
  /// Whether the ring was full since last asked.
  bool take_full() {
    const bool full = layout().ring_full != 0;
    memory_.set(ring_address(kSint) + 1, std::uint8_t{0});
    return full;
  }
  void unmask() { memory_.set(ring_address(kSint), std::uint8_t{0}); }

 private:
  test_support::FakeSpaMemory& memory_;
  std::uint64_t tail_ = 0;
};

struct Ringing {
  Ringing() {
    for (std::uint64_t at = ring_address(kSint); at < ring_address(kSint + 1); at += 8) {
      memory.set(at, std::uint64_t{0});
    }
  }
  test_support::FakeSpaMemory memory;
  hv::EventRing ring;
  Consumer consumer{memory};
  hv::EventRing::Outcome put(std::uint32_t id) { return ring.put(kRingPage, kSint, PortId{id}); }
};

}  // namespace

TEST_CASE("a doorbell interrupts when its ring is not being emptied", "[hv][synic][doorbell]") {
  Ringing ringing;
  const auto first = ringing.put(7);
  CHECK(first.put);
  CHECK(first.interrupt);
  const auto second = ringing.put(8);
  CHECK(second.put);
  CHECK_FALSE(second.interrupt);
  CHECK(ringing.consumer.layout().signal_masked == 1);
  CHECK(ringing.consumer.take() == 7u);
  CHECK(ringing.consumer.take() == 8u);
  CHECK_FALSE(ringing.consumer.take());
  ringing.consumer.unmask();
  CHECK(ringing.put(9).interrupt);
  CHECK(ringing.consumer.take() == 9u);
}

TEST_CASE("a full ring says so, and takes ids again when it was emptied", "[hv][synic][doorbell]") {
  Ringing ringing;
  for (std::uint32_t id = 1; id <= EventRingLayout::kEntries; ++id) {
    CHECK(ringing.put(id).put);
  }
  CHECK_FALSE(ringing.consumer.layout().ring_full);
  CHECK_FALSE(ringing.put(64).put);
  CHECK(ringing.consumer.take_full());
  for (std::uint32_t id = 1; id <= EventRingLayout::kEntries; ++id) {
    CHECK(ringing.consumer.take() == id);
  }
  CHECK_FALSE(ringing.consumer.take());
  CHECK(ringing.put(64).put);
  CHECK(ringing.consumer.take() == 64u);
}

TEST_CASE("a ring that is emptied at any moment of a put forgets nothing",
          "[hv][synic][doorbell]") {
  // The consumer empties a full ring, goes to sleep, and is woken, before the k-th access.
  for (std::size_t moment = 0; moment < 6; ++moment) {
    Ringing ringing;
    for (std::uint32_t id = 1; id <= EventRingLayout::kEntries; ++id) {
      static_cast<void>(ringing.put(id));
    }
    ringing.memory.log.clear();
    bool emptied = false;
    bool asks_for_more = false;
    std::size_t found = 0;
    const auto empty = [&] {
      while (ringing.consumer.take()) {
        ++found;
      }
      asks_for_more = ringing.consumer.take_full();
      ringing.consumer.unmask();
      while (ringing.consumer.take()) {
        ++found;
      }
    };
    ringing.memory.before_access = [&](const test_support::SpaAccess&) {
      if (ringing.memory.log.size() == moment && !emptied) {
        emptied = true;
        empty();
      }
    };
    const auto outcome = ringing.put(64);
    ringing.memory.before_access = nullptr;
    INFO("moment " << moment);
    if (outcome.interrupt || !emptied) {
      empty();
    }
    // It has the id, or it has asked for more after the put gave up.
    CHECK((found == 64 || (!outcome.put && (asks_for_more || outcome.interrupt))));
  }
}

TEST_CASE("a ring that was emptied before it could say that it is full takes the id",
          "[hv][synic][doorbell]") {
  Ringing ringing;
  for (std::uint32_t id = 1; id <= EventRingLayout::kEntries; ++id) {
    static_cast<void>(ringing.put(id));
  }
  ringing.memory.log.clear();
  // The consumer sees no flag, and is about to sleep: it looks at the ring once more, no further.
  ringing.memory.before_access = [&](const test_support::SpaAccess& access) {
    if (access.kind == test_support::SpaAccess::Kind::kLocked && ringing.memory.log.size() == 1) {
      while (ringing.consumer.take()) {
      }
      CHECK_FALSE(ringing.consumer.take_full());
    }
  };
  static_cast<void>(ringing.put(64));
  ringing.memory.before_access = nullptr;
  ringing.consumer.unmask();
  CHECK(ringing.consumer.take() == 64u);
}

TEST_CASE("whatever is in the page, a ring loses no more than its own entries",
          "[hv][synic][doorbell]") {
  rc::prop("hostile consumer", [] {
    Ringing ringing;
    for (int step = 0; step < 80; ++step) {
      const auto offset = *rc::gen::inRange<std::uint64_t>(0, sizeof(EventRingLayout));
      ringing.memory.set(ring_address(kSint) + offset, *rc::gen::arbitrary<std::uint8_t>());
      ringing.memory.log.clear();
      static_cast<void>(ringing.put(*rc::gen::inRange(1u, hv::kPortIdMax)));
      for (const test_support::SpaAccess& access : ringing.memory.log) {
        RC_ASSERT(access.address >= ring_address(kSint));
        RC_ASSERT(access.address + access.size_bytes <= ring_address(kSint + 1));
      }
    }
  });
}

TEST_CASE("ids arrive in order, each once, however producer and consumer alternate",
          "[hv][synic][doorbell]") {
  rc::prop("ring", [] {
    Ringing ringing;
    std::deque<std::uint32_t> expected;
    std::uint32_t next = 1;
    bool asleep = true;
    for (int step = 0; step < 400; ++step) {
      if (*rc::gen::weightedElement<bool>({{3, true}, {2, false}})) {
        const auto outcome = ringing.put(next);
        RC_ASSERT(outcome.put == (expected.size() < EventRingLayout::kEntries));
        RC_ASSERT(outcome.interrupt == asleep);
        asleep = false;
        if (outcome.put) {
          expected.push_back(next++);
        }
      } else if (const auto id = ringing.consumer.take()) {
        RC_ASSERT(*id == expected.front());
        expected.pop_front();
      } else {
        RC_ASSERT(expected.empty());
        ringing.consumer.unmask();
        asleep = true;
      }
    }
  });
}

TEST_CASE("a SynIC rings where its page, its SINT and itself are enabled",
          "[hv][synic][doorbell]") {
  test_support::FakeSpaMemory memory;
  hv::Synic synic{synic_test::kMessagePage, synic_test::kEventPage, kRingPage};
  synic.reset();
  synic.preset_pages();
  CHECK(synic.read(hv::kMsrSirbp) == kRingPage.value() * machine::kPageSize);
  CHECK(synic.read(hv::kMsrSimp) == synic_test::kMessagePage.value() * machine::kPageSize);
  CHECK(synic.read(hv::kMsrSiefp) == synic_test::kEventPage.value() * machine::kPageSize);
  bool put = false;
  SintSet interrupts;
  const auto ring = [&] { return synic.ring(kSint, PortId{9}, put, interrupts); };
  CHECK(ring() == Status::kInvalidSynicState);
  CHECK(synic.write(hv::kMsrSirbp, 0x7001) == hv::Synic::WriteEffect::kEventRingPage);
  static_cast<void>(synic.write(hv::kMsrScontrol, 1));
  CHECK(ring() == Status::kInvalidSynicState);  // masked
  static_cast<void>(synic.write(hv::kMsrSint0 + kSint, 0x50));
  CHECK(ring() == Status::kSuccess);
  CHECK(put);
  CHECK(interrupts.has(kSint));
  CHECK(ring() == Status::kSuccess);
  CHECK(interrupts.empty());
  CHECK(memory.get<EventRingLayout>(ring_address(kSint)).entries[1] == 9);
  SECTION("polled") {
    static_cast<void>(synic.write(hv::kMsrSint0 + kSint, 0x50 | SintRegister::kPolling));
    memory.set(ring_address(kSint), std::uint8_t{0});
    CHECK(ring() == Status::kSuccess);
    CHECK(interrupts.empty());
  }
  SECTION("a proxy") {
    static_cast<void>(synic.write(hv::kMsrSint0 + kSint, 0x50 | SintRegister::kProxy));
    CHECK(ring() == Status::kInvalidSynicState);
  }
  SECTION("page off") {
    static_cast<void>(synic.write(hv::kMsrSirbp, 0x7000));
    CHECK(ring() == Status::kInvalidSynicState);
  }
  SECTION("SynIC off") {
    static_cast<void>(synic.write(hv::kMsrScontrol, 0));
    CHECK(ring() == Status::kInvalidSynicState);
  }
  SECTION("a reset empties the rings") {
    synic.reset();
    CHECK(memory.get<EventRingLayout>(ring_address(kSint)).entries[0] == 0);
    static_cast<void>(synic.write(hv::kMsrSirbp, 0x7001));
    static_cast<void>(synic.write(hv::kMsrScontrol, 1));
    static_cast<void>(synic.write(hv::kMsrSint0 + kSint, 0x50));
    CHECK(ring() == Status::kSuccess);
    CHECK(memory.get<EventRingLayout>(ring_address(kSint)).entries[0] == 9);
  }
}

TEST_CASE("a SynIC without event rings has the register alone", "[hv][synic][doorbell]") {
  synic_test::Fixture fixture;
  fixture.enable();
  fixture.unmask(kSint);
  CHECK(fixture.synic.write(hv::kMsrSirbp, 0x7001) == hv::Synic::WriteEffect::kEventRingPage);
  CHECK(fixture.synic.read(hv::kMsrSirbp) == 0x7001);
  CHECK_FALSE(fixture.synic.accepts_doorbells(kSint));
}
