// What the scheduler gives to whom over time: a few processors that do nothing but what it says,
// and virtual processors that always want to run, or come and go as they like.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "hv/processor/scheduler.h"

namespace {

using hv::kNoDeadline;
using hv::kNoLp;
using hv::ProcessorShares;
using hv::RunState;
using hv::Schedulable;
using hv::Scheduler;

constexpr std::uint64_t kSlice = 1000;
constexpr std::uint64_t kTick = 1000;

/// Logical processors that run what they are given, as hv::LogicalProcessor does, in steps.
class Machine {
 public:
  explicit Machine(std::uint32_t lp_count) : scheduler(lp_count, kSlice), lps_(lp_count) {}

  Schedulable& add(const ProcessorShares& shares = {}) {
    vps.push_back(std::make_unique<Schedulable>());
    vps.back()->shares = shares;
    vps.back()->lp = static_cast<std::uint32_t>(vps.size()) % lp_count();
    return *vps.back();
  }
  void wake(Schedulable& vp) { nudge(scheduler.wake(vp, now)); }
  void wake_all() {
    for (const auto& vp : vps) {
      wake(*vp);
    }
  }
  void nudge(std::uint32_t lp) {
    if (lp != kNoLp) {
      lps_[lp].service_at = 0;
    }
  }
  /// Every processor looks at what is due, in turn.
  void step(std::uint64_t ticks) {
    now += ticks;
    for (std::uint32_t lp = 0; lp < lp_count(); ++lp) {
      serve(lp);
    }
  }
  void run(std::uint64_t ticks, std::uint64_t at_once = 50) {
    for (const std::uint64_t end = now + ticks; now < end;) {
      step(at_once);
    }
  }
  void block(std::uint32_t lp) {
    if (scheduler.current(lp) != nullptr) {
      put_down(lp, false);
    }
  }
  [[nodiscard]] std::uint32_t lp_count() const { return static_cast<std::uint32_t>(lps_.size()); }

  Scheduler scheduler;
  std::uint64_t now = 1;
  std::vector<std::unique_ptr<Schedulable>> vps;

 private:
  struct Lp {
    std::uint64_t service_at = 0;
  };

  void pick(std::uint32_t lp) {
    static_cast<void>(scheduler.pick(lp, now));
    nudge(scheduler.idle_for_waiting(now));
  }
  void put_down(std::uint32_t lp, bool runnable) {
    nudge(scheduler.put_down(lp, now, runnable));
    pick(lp);
    plan(lp);
  }
  void plan(std::uint32_t lp) {
    lps_[lp].service_at = std::min({scheduler.next_deadline(lp), scheduler.look_again_at(lp, now),
                                    scheduler.current(lp) != nullptr ? now + kTick : kNoDeadline});
  }
  void serve(std::uint32_t lp) {
    if (now < lps_[lp].service_at) {
      return;
    }
    while (Schedulable* expired = scheduler.take_expired(lp, now)) {
      nudge(scheduler.wake(*expired, now));
    }
    if (scheduler.current(lp) == nullptr) {
      pick(lp);
    } else if (scheduler.should_yield(lp, now)) {
      put_down(lp, true);
    }
    plan(lp);
  }

  std::vector<Lp> lps_;
};

std::uint64_t percent_of(std::uint64_t part, std::uint64_t whole) { return part * 100 / whole; }

/// What it has had, the run under way included.
std::uint64_t had(const Machine& machine, const Schedulable& vp) {
  const bool runs = vp.state == RunState::kRunning;
  return vp.run_time + (runs ? machine.now - vp.running_since : 0);
}

}  // namespace

TEST_CASE("sixteen busy ones on four processors have had the same within 5 % after 100 slices",
          "[hv][scheduler]") {
  Machine machine(4);
  for (int index = 0; index < 16; ++index) {
    machine.add();
  }
  machine.wake_all();
  machine.run(100 * kSlice);
  for (const auto& vp : machine.vps) {
    CHECK(had(machine, *vp) > 25 * kSlice * 95 / 100);
    CHECK(had(machine, *vp) < 25 * kSlice * 105 / 100);
  }
}

TEST_CASE("busy ones share by their weight", "[hv][scheduler]") {
  Machine machine(2);
  for (const std::uint32_t weight : {100u, 200u, 300u, 100u, 200u, 300u}) {
    machine.add({.weight = weight});
  }
  machine.wake_all();
  constexpr std::uint64_t kTime = 1'200'000;
  machine.run(kTime);
  for (const auto& vp : machine.vps) {
    const std::uint64_t due = 2 * kTime * vp->shares.weight / 1200;
    CHECK(had(machine, *vp) > due * 95 / 100);
    CHECK(had(machine, *vp) < due * 105 / 100);
  }
}

TEST_CASE("a cap holds, whether or not anybody else wants the processor", "[hv][scheduler]") {
  const std::uint32_t others = GENERATE(0u, 1u);
  Machine machine(1);
  const Schedulable& capped = machine.add({.weight = 10'000, .cap = 0x4000});
  for (std::uint32_t index = 0; index < others; ++index) {
    machine.add();
  }
  machine.wake_all();
  constexpr std::uint64_t kTime = 400'000;
  machine.run(kTime);
  CHECK(percent_of(had(machine, capped), kTime) >= 24);
  CHECK(percent_of(had(machine, capped), kTime) <= 25);
}

TEST_CASE("a cap holds for one that comes and goes", "[hv][scheduler]") {
  Machine machine(1);
  Schedulable& capped = machine.add({.cap = 0x2000});
  constexpr std::uint64_t kTime = 400'000;
  for (std::uint64_t step = 0; step < kTime / 100; ++step) {
    machine.wake(capped);
    machine.step(100);
    if (step % 3 == 0) {
      machine.block(0);
    }
  }
  CHECK(percent_of(had(machine, capped), kTime) >= 11);
  CHECK(percent_of(had(machine, capped), kTime) <= 13);
}

TEST_CASE("a cap that is lifted holds nobody back", "[hv][scheduler]") {
  Machine machine(1);
  Schedulable& capped = machine.add({.cap = 1});
  machine.wake_all();
  machine.run(10 * kSlice);
  REQUIRE(capped.throttled);
  machine.nudge(machine.scheduler.set_shares(capped, {}, machine.now));
  machine.step(1);
  CHECK(capped.state == RunState::kRunning);
}

TEST_CASE("a reserve is met, however many others there are, and they share the rest",
          "[hv][scheduler]") {
  Machine machine(2);
  const Schedulable& half = machine.add({.weight = 1, .reserve = 0x8000});
  const Schedulable& quarter = machine.add({.weight = 1, .reserve = 0x4000});
  for (int index = 0; index < 30; ++index) {
    machine.add();
  }
  machine.wake_all();
  constexpr std::uint64_t kTime = 1'000'000;
  machine.run(kTime);
  CHECK(percent_of(had(machine, half), kTime) >= 49);
  CHECK(percent_of(had(machine, quarter), kTime) >= 24);
  const std::uint64_t rest = 2 * kTime - had(machine, half) - had(machine, quarter);
  for (std::size_t index = 2; index < machine.vps.size(); ++index) {
    CHECK(percent_of(had(machine, *machine.vps[index]), rest / 30) >= 90);
  }
}

TEST_CASE("a reserve that is not wanted is others'", "[hv][scheduler]") {
  Machine machine(1);
  machine.add({.reserve = 0x10000});
  Schedulable& busy = machine.add();
  machine.wake(busy);
  machine.run(100 * kSlice);
  CHECK(had(machine, busy) >= 99 * kSlice);
}

TEST_CASE("one that spins lets another of its partition go first, and nobody else",
          "[hv][scheduler]") {
  Scheduler scheduler(1, kSlice);
  Schedulable spinning;
  Schedulable holder;
  Schedulable stranger;
  spinning.group = 1;
  holder.group = 1;
  stranger.group = 2;
  static_cast<void>(scheduler.wake(spinning, 1));
  REQUIRE(scheduler.pick(0, 1) == &spinning);
  static_cast<void>(scheduler.wake(stranger, 1));
  scheduler.give_way(0, 2);
  CHECK_FALSE(scheduler.should_yield(0, 2));  // whom it waits for does not wait here
  static_cast<void>(scheduler.wake(holder, 2));
  scheduler.give_way(0, 3);
  CHECK(scheduler.should_yield(0, 3));
  static_cast<void>(scheduler.put_down(0, 3, true));
  CHECK(scheduler.pick(0, 3) == &holder);
  CHECK(spinning.virtual_time == 2);  // charged for no more than it ran
}

TEST_CASE("one that may not run where it runs moves, and stays within its processors",
          "[hv][scheduler]") {
  Machine machine(4);
  Schedulable& bound = machine.add();
  for (int index = 0; index < 7; ++index) {
    machine.add();
  }
  machine.wake_all();
  machine.run(3 * kSlice);
  for (const std::uint64_t mask : {0b0100ull, 0b1001ull, 0b0010ull}) {
    machine.nudge(machine.scheduler.set_affinity(bound, mask, machine.now));
    machine.run(2 * kSlice);
    for (int step = 0; step < 100; ++step) {
      machine.step(100);
      CHECK((bound.state != RunState::kRunning || ((mask >> bound.lp) & 1) != 0));
    }
  }
}

namespace {

/// Whatever happens: nobody runs twice or while it is held, or where it may not, and no processor
/// idles while somebody could run there.
void check_machine(const Machine& machine) {
  std::vector<const Schedulable*> running;
  for (std::uint32_t lp = 0; lp < machine.lp_count(); ++lp) {
    const Schedulable* current = machine.scheduler.current(lp);
    if (current != nullptr) {
      RC_ASSERT(current->state == RunState::kRunning);
      RC_ASSERT(current->lp == lp);
      running.push_back(current);
    }
  }
  std::size_t count = 0;
  for (const auto& vp : machine.vps) {
    count += vp->state == RunState::kRunning ? 1 : 0;
    RC_ASSERT(!(vp->held && vp->state == RunState::kReady));
    for (std::uint32_t lp = 0; lp < machine.lp_count(); ++lp) {
      const bool may = ((vp->affinity >> lp) & 1) != 0;
      RC_ASSERT(!(vp->state == RunState::kReady && may && machine.scheduler.is_idle(lp)));
    }
  }
  RC_ASSERT(count == running.size());
}

ProcessorShares any_shares() {
  ProcessorShares shares;
  shares.weight = *rc::gen::inRange(1u, 10'001u);
  shares.cap = *rc::gen::element(0u, 1u, 0x1000u, 0x8000u, 0x10000u);
  shares.reserve = std::min(shares.cap, *rc::gen::element(0u, 0u, 0x1000u, 0x4000u));
  return shares;
}

void act(Machine& machine) {
  const std::size_t which = *rc::gen::inRange<std::size_t>(0, machine.vps.size());
  Schedulable& vp = *machine.vps[which];
  Scheduler& scheduler = machine.scheduler;
  switch (*rc::gen::inRange(0, 8)) {
    case 0:
      machine.wake(vp);
      break;
    case 1:
      machine.block(*rc::gen::inRange(0u, machine.lp_count()));
      break;
    case 2:
      if (!vp.held) {
        scheduler.hold(vp);
        machine.nudge(vp.state == RunState::kRunning ? vp.lp : kNoLp);
      }
      break;
    case 3:
      if (vp.held) {
        machine.nudge(scheduler.release(vp, machine.now));
      }
      break;
    case 4: {
      const std::uint64_t all = (1ull << machine.lp_count()) - 1;
      machine.nudge(
          scheduler.set_affinity(vp, *rc::gen::inRange<std::uint64_t>(1, all + 1), machine.now));
      break;
    }
    case 5:
      machine.nudge(scheduler.set_shares(vp, any_shares(), machine.now));
      break;
    case 6:
      if (vp.held && vp.state == RunState::kStopped) {
        scheduler.remove(vp);
        vp = Schedulable();  // its place is taken by a new one
      }
      break;
    default:
      scheduler.give_way(*rc::gen::inRange(0u, machine.lp_count()), machine.now);
      break;
  }
}

}  // namespace

TEST_CASE("one whose processor is taken by another goes to a processor that idles",
          "[hv][scheduler]") {
  Machine machine(2);
  Schedulable& bound = machine.add();
  Schedulable& free = machine.add();
  free.lp = 0;
  machine.nudge(machine.scheduler.set_affinity(bound, 1, machine.now));
  machine.step(1);
  machine.wake(free);  // for which processor 0 is woken
  bound.urgent = true;
  machine.wake(bound);  // and which takes this one
  machine.step(1);
  machine.step(0);
  CHECK(bound.state == RunState::kRunning);
  CHECK(free.state == RunState::kRunning);
}

TEST_CASE("nobody is lost, whatever is done to virtual processors at whatever moment",
          "[hv][scheduler]") {
  CHECK(rc::check("any actions", [] {
    Machine machine(*rc::gen::inRange(1u, 5u));
    const std::size_t count = *rc::gen::inRange<std::size_t>(1, 12);
    for (std::size_t index = 0; index < count; ++index) {
      machine.add(any_shares());
    }
    for (int action = 0; action < 100; ++action) {
      act(machine);
      machine.step(*rc::gen::inRange<std::uint64_t>(0, 3 * kSlice));
      machine.step(0);  // who was nudged by a later processor looks again
      check_machine(machine);
    }
    // Left alone, everybody who wants to run does.
    for (const auto& vp : machine.vps) {
      if (vp->held) {
        machine.nudge(machine.scheduler.release(*vp, machine.now));
      }
      machine.nudge(machine.scheduler.set_shares(*vp, {}, machine.now));
      machine.nudge(machine.scheduler.set_affinity(*vp, ~0ull, machine.now));
      machine.wake(*vp);
    }
    std::vector<std::uint64_t> before;
    for (const auto& vp : machine.vps) {
      before.push_back(had(machine, *vp));
    }
    machine.run(1'000 * kSlice, kSlice / 2);
    for (std::size_t index = 0; index < machine.vps.size(); ++index) {
      RC_ASSERT(had(machine, *machine.vps[index]) > before[index]);
    }
  }));
}
