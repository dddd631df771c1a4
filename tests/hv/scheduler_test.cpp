// Which virtual processor runs where: the policy alone.
#include "hv/processor/scheduler.h"

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "hv/processor/deadline_heap.h"

namespace {

using hv::kNoDeadline;
using hv::kNoLp;
using hv::RunState;
using hv::Schedulable;
using hv::Scheduler;

constexpr std::uint64_t kSlice = 100;

}  // namespace

TEST_CASE("what wakes runs on an idle processor, and nothing runs twice", "[hv][scheduler]") {
  Scheduler scheduler(2, kSlice);
  Schedulable first;
  Schedulable second;
  CHECK(scheduler.pick(0, 0) == nullptr);
  CHECK(scheduler.pick(1, 0) == nullptr);
  CHECK(scheduler.wake(first, 0) == 0);
  CHECK(scheduler.wake(first, 0) == kNoLp);
  second.lp = 1;
  CHECK(scheduler.wake(second, 0) == 1);
  CHECK(scheduler.pick(0, 0) == &first);
  CHECK(scheduler.pick(1, 0) == &second);
  CHECK(first.state == RunState::kRunning);
  CHECK_FALSE(scheduler.has_waiting(0, 0));
}

TEST_CASE("a wake while it still runs is not lost when it blocks", "[hv][scheduler]") {
  Scheduler scheduler(1, kSlice);
  Schedulable vp;
  REQUIRE(scheduler.wake(vp, 0) == kNoLp);
  REQUIRE(scheduler.pick(0, 0) == &vp);
  CHECK(scheduler.wake(vp, 5) == kNoLp);
  CHECK(scheduler.put_down(0, 10, false) == kNoLp);
  CHECK(vp.state == RunState::kReady);
  CHECK(scheduler.pick(0, 10) == &vp);
  CHECK(scheduler.put_down(0, 20, false) == kNoLp);
  CHECK(vp.state == RunState::kStopped);
  CHECK(vp.run_time == 20);
}

TEST_CASE("one that ran a slice longer makes way, and an urgent one does not wait for that",
          "[hv][scheduler]") {
  Scheduler scheduler(1, kSlice);
  Schedulable first;
  Schedulable second;
  Schedulable root;
  root.urgent = true;
  REQUIRE(scheduler.wake(first, 0) == kNoLp);
  REQUIRE(scheduler.pick(0, 0) == &first);
  CHECK(scheduler.wake(second, 1) == kNoLp);
  CHECK_FALSE(scheduler.should_yield(0, 50));
  CHECK(scheduler.should_yield(0, kSlice));
  CHECK(scheduler.wake(root, 2) == 0);
  CHECK(scheduler.should_yield(0, 2));
}

TEST_CASE("weight divides the time that is charged", "[hv][scheduler]") {
  Scheduler scheduler(1, kSlice);
  Schedulable heavy;
  Schedulable light;
  heavy.shares.weight = 300;
  std::uint64_t now = 0;
  REQUIRE(scheduler.wake(heavy, now) == kNoLp);
  REQUIRE(scheduler.wake(light, now) == kNoLp);
  std::uint64_t heavy_time = 0;
  for (int turn = 0; turn < 4000; ++turn) {
    const Schedulable* running = scheduler.pick(0, now);
    now += 10;
    heavy_time += running == &heavy ? 10 : 0;
    static_cast<void>(scheduler.put_down(0, now, true));
  }
  CHECK(heavy_time > now * 70 / 100);
  CHECK(heavy_time < now * 80 / 100);
}

TEST_CASE("a pinned one runs on its processor alone", "[hv][scheduler]") {
  Scheduler scheduler(2, kSlice);
  Schedulable pinned;
  pinned.pinned_lp = 1;
  REQUIRE(scheduler.pick(0, 0) == nullptr);
  REQUIRE(scheduler.pick(1, 0) == nullptr);
  CHECK(scheduler.wake(pinned, 0) == 1);
  CHECK(scheduler.pick(0, 0) == nullptr);
  CHECK(scheduler.pick(1, 0) == &pinned);
}

TEST_CASE("one that is held does not run until it is released", "[hv][scheduler]") {
  Scheduler scheduler(1, kSlice);
  Schedulable vp;
  REQUIRE(scheduler.wake(vp, 0) == kNoLp);
  scheduler.hold(vp);
  CHECK(scheduler.pick(0, 0) == nullptr);
  CHECK(scheduler.wake(vp, 0) == kNoLp);
  CHECK(scheduler.release(vp, 0) == 0);
  REQUIRE(scheduler.pick(0, 0) == &vp);
  scheduler.hold(vp);
  CHECK(scheduler.should_yield(0, 1));
  CHECK(scheduler.put_down(0, 1, true) == kNoLp);
  CHECK(scheduler.pick(0, 1) == nullptr);
  CHECK(scheduler.release(vp, 1) == 0);
  CHECK(scheduler.pick(0, 1) == &vp);
}

TEST_CASE("put down for another, it moves to a processor that sleeps", "[hv][scheduler]") {
  Scheduler scheduler(2, kSlice);
  Schedulable child;
  Schedulable root;
  root.pinned_lp = 0;
  root.urgent = true;
  REQUIRE(scheduler.wake(child, 0) == kNoLp);
  REQUIRE(scheduler.pick(0, 0) == &child);
  REQUIRE(scheduler.pick(1, 0) == nullptr);
  REQUIRE(scheduler.wake(root, 1) == 0);
  CHECK(scheduler.put_down(0, 1, true) == 1);
  CHECK(scheduler.pick(0, 1) == &root);
  CHECK(scheduler.pick(1, 1) == &child);
}

TEST_CASE("deadlines expire in order on the processor that set them", "[hv][scheduler]") {
  Scheduler scheduler(1, kSlice);
  std::vector<std::unique_ptr<Schedulable>> vps;
  std::uint64_t state = 12345;
  for (int index = 0; index < 500; ++index) {
    state = state * 6364136223846793005 + 1442695040888963407;
    vps.push_back(std::make_unique<Schedulable>());
    scheduler.set_deadline(*vps.back(), 1 + (state >> 50));
  }
  for (std::size_t index = 0; index < vps.size(); index += 3) {
    scheduler.set_deadline(*vps[index], kNoDeadline);
  }
  std::uint64_t last = 0;
  std::size_t count = 0;
  while (scheduler.next_deadline(0) != kNoDeadline) {
    const std::uint64_t next = scheduler.next_deadline(0);
    CHECK(scheduler.take_expired(0, next - 1) == nullptr);
    const Schedulable* expired = scheduler.take_expired(0, next);
    REQUIRE(expired != nullptr);
    REQUIRE(next >= last);
    last = next;
    ++count;
  }
  CHECK(count == vps.size() - (vps.size() + 2) / 3);
}

TEST_CASE("giving way lets the one that waits go first", "[hv][scheduler]") {
  Scheduler scheduler(1, kSlice);
  Schedulable spinning;
  Schedulable holder;
  REQUIRE(scheduler.wake(spinning, 0) == kNoLp);
  REQUIRE(scheduler.pick(0, 0) == &spinning);
  scheduler.give_way(0, 1);
  CHECK_FALSE(scheduler.should_yield(0, 1));  // nobody waits
  REQUIRE(scheduler.wake(holder, 1) == kNoLp);
  scheduler.give_way(0, 2);
  CHECK(scheduler.should_yield(0, 2));
  static_cast<void>(scheduler.put_down(0, 2, true));
  CHECK(scheduler.pick(0, 2) == &holder);
  CHECK_FALSE(scheduler.should_yield(0, 2));  // it is not the holder that gave way
}

TEST_CASE("one that blocks after more than its cap is woken by nobody but who wakes it",
          "[hv][scheduler]") {
  Scheduler scheduler(1, kSlice);
  Schedulable vp;
  vp.shares.cap = hv::ProcessorShares::kWhole / 2;
  REQUIRE(scheduler.wake(vp, 0) == kNoLp);
  REQUIRE(scheduler.pick(0, 0) == &vp);
  const std::uint64_t end = 10 * kSlice;
  CHECK(scheduler.put_down(0, end, false) == kNoLp);
  CHECK(scheduler.next_deadline(0) == kNoDeadline);
  // Woken before its cap allows, it waits for that.
  CHECK(scheduler.wake(vp, end) == kNoLp);
  CHECK(scheduler.next_deadline(0) == 20 * kSlice);
  CHECK(scheduler.pick(0, end) == nullptr);
}
