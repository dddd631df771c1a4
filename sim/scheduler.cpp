// How the processors of a computer take turns: whoever is first in virtual time acts.
#include <algorithm>

#include "sim/computer.h"

namespace sim {

namespace {

constexpr machine::Site kTie{"sim.schedule.tie"};
constexpr machine::Site kStall{"sim.schedule.stall"};

/// Without events a processor looks around after this much time: for limits and the watchdog.
constexpr std::uint64_t kLongestTurnNs = 1'000'000;

/// How long a stall is: mostly less than an operation or two of others take, now and then so long
/// that whole handlers pass by.
constexpr std::uint64_t stall_length_ns(std::uint32_t draw) {
  return draw < 52 ? draw * 3 : std::uint64_t{200} << (draw - 52);
}

}  // namespace

LogicalProcessor* Computer::first(std::uint64_t& at_ns) {
  at_ns = turns_.earliest();
  if (const std::uint64_t event = events_.next_ns(); event <= at_ns) {
    at_ns = event;
    return nullptr;
  }
  const std::uint32_t equals = turns_.count(at_ns);
  const std::uint32_t chosen = equals > 1 ? decide(kTie, equals) : 0;
  return processors_[turns_.find(at_ns, chosen)].get();
}

// Whoever runs is not in the order of turns.
void Computer::enter(LogicalProcessor& processor) {
  if (processor.sleeping) {
    processor.now = std::max(processor.now, processor.wake_ns);
    processor.wake_ns = kNever;
    processor.sleeping = false;
  }
  turns_.set(processor.index, kNever);
  here_ = &processor;
}

void Computer::give_turns() {
  LogicalProcessor& self = *here_;
  if (!self.sleeping && self.now < turns_.earliest() && self.now < events_.next_ns()) {
    return;
  }
  set_turn(self);
  std::uint64_t at_ns = 0;
  LogicalProcessor* const next = first(at_ns);
  if (next == &self) {
    enter(self);
    return;
  }
  ++result_.context_switches;
  watch_switch(next);
  if (next != nullptr) {
    enter(*next);
    self.running->fiber.switch_to(next->running->fiber);
  } else {
    here_ = nullptr;
    event_ns_ = self.now;
    self.running->fiber.switch_to(main_);
  }
}

void Computer::set_horizon(LogicalProcessor& processor) {
  std::uint64_t horizon = std::min(processor.now + kLongestTurnNs, processor.next_stall);
  horizon = std::min(horizon, events_.next_ns());
  if (processor.running->is_guest()) {
    horizon = std::min(horizon, processor.preemption_ns);
  }
  processor.horizon = std::min(horizon, turns_.earliest());
}

void Computer::stall(LogicalProcessor& processor) {
  const std::uint32_t draw = decide(kStall, 4096);
  processor.now += stall_length_ns(draw & 63);
  const std::uint64_t interval = configuration_.stall_interval_ns;
  processor.next_stall = processor.now + interval / 32 * (1 + (draw >> 6));
}

void Computer::reach_boundary() {
  progress_.store(progress_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (hash_.operations() >= configuration_.limits.operations) {
    finish(Outcome::kOperationLimit);
  }
  if (here_->now > configuration_.limits.virtual_ns) {
    finish(Outcome::kTimeLimit);
  }
  for (;;) {
    if (here_->now >= here_->next_stall) {
      stall(*here_);
    }
    give_turns();
    LogicalProcessor& self = *here_;
    if (self.running->is_guest()) {
      if (!take_guest_event()) {
        break;
      }
    } else if (self.interrupts_enabled && self.apic.requests_interrupt()) {
      take_root_interrupt();
    } else {
      break;
    }
  }
  set_horizon(*here_);
}

void Computer::spend(std::uint64_t nanoseconds) {
  do {
    const LogicalProcessor& self = *here_;
    std::uint64_t until = events_.next_ns();
    if (self.running->is_guest()) {
      until = std::min(until, self.preemption_ns);
    }
    const std::uint64_t free = until > self.now ? until - self.now : 1;
    const std::uint64_t step = std::min(nanoseconds, free);
    nanoseconds -= step;
    pass(step);
  } while (nanoseconds != 0);
}

void Computer::sleep(std::uint64_t until_ns) {
  LogicalProcessor& self = *here_;
  self.sleeping = true;
  self.wake_ns = until_ns;
  if (!self.running->locks.empty()) {
    violation("lock order", "a processor sleeps while it holds a lock");
  }
  give_turns();
}

void Computer::run_to_the_end() {
  while (!ended_) {
    std::uint64_t at_ns = 0;
    LogicalProcessor* const next = first(at_ns);
    if (at_ns == kNever) {
      violation("no deadlock", "every processor sleeps and nothing is left to happen");
    }
    if (at_ns > configuration_.limits.virtual_ns) {
      finish(Outcome::kTimeLimit);
    }
    if (next != nullptr) {
      enter(*next);
      watch_switch(next);
      main_.switch_to(next->running->fiber);
    } else {
      event_ns_ = at_ns;
      events_.run_next();
    }
  }
}

void Computer::schedule(std::uint64_t at_ns, EventHandler& handler, std::uint64_t token) {
  events_.schedule(at_ns, handler, token);
  if (here_ != nullptr) {
    here_->horizon = std::min(here_->horizon, at_ns);
  }
}

}  // namespace sim
