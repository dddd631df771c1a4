// How the processors of a computer take turns: whoever is first in virtual time acts.
#include <algorithm>

#include "sim/computer.h"

namespace sim {

namespace {

constexpr machine::Site kTie{"sim.schedule.tie"};
constexpr machine::Site kStall{"sim.schedule.stall"};

/// After this much time a processor looks around in any case: for limits and the watchdog.
constexpr std::uint64_t kLongestTurnNs = 1'000'000;

/// How long a stall is: mostly less than an operation or two of others take, now and then so long
/// that whole handlers pass by.
constexpr std::uint64_t stall_length_ns(std::uint32_t draw) {
  return draw < 52 ? draw * 3 : std::uint64_t{200} << (draw - 52);
}

/// What a processor is told that is to go on: its time may have come to look around.
constexpr std::uint64_t kLookAround = 1;

std::uint64_t message_for(const LogicalProcessor& processor) {
  return processor.now >= processor.look_ns ? kLookAround : 0;
}

}  // namespace

void Computer::look_for_coins() {
  if (Coins* const coins = decider_.coins_of(kTie)) {
    tie_coins_ = coins;
  }
}

inline std::uint32_t Computer::decide_tie(std::uint32_t equals) {
  if (equals == 2 && tie_coins_->left()) [[likely]] {
    ++result_.decisions;
    return tie_coins_->take();
  }
  return decide(kTie, equals);
}

inline LogicalProcessor& Computer::take_first_processor() {
  return *processors_[turns_.take([this](std::uint32_t equals) { return decide_tie(equals); })];
}

LogicalProcessor* Computer::take_first() {
  return events_.next_ns() <= turns_.earliest() ? nullptr : &take_first_processor();
}

inline void Computer::wake_up(LogicalProcessor& processor) {
  if (processor.sleeping) {
    processor.now = std::max(processor.now, processor.wake_ns);
    processor.wake_ns = kNever;
    processor.sleeping = false;
    processor.look_soon();
  }
}

// Comes back when it is the turn of `from` again: true if that has to look around.
// A processor is not in the order of turns while it runs.
inline bool Computer::switch_processors(LogicalProcessor& from, LogicalProcessor& to) {
  count(turns_given_, 1);
  watch_switch(&to);
  here_ = &to;
  return from.running->fiber.switch_to(to.running->fiber, message_for(to)) == kLookAround;
}

void Computer::give_turns() {
  LogicalProcessor& self = *here_;
  if (self.sleeping) {
    turns_.insert_sleeper(self.index, self.wake_ns);
  } else if (self.now < turns_.earliest() && self.now < events_.next_ns()) {
    return;
  } else {
    turns_.insert(self.index, self.now);
  }
  if (LogicalProcessor* const next = take_first()) {
    wake_up(*next);
    switch_processors(self, *next);
  } else {
    count(turns_given_, 1);
    watch_switch(nullptr);
    here_ = nullptr;
    event_ns_ = self.now;
    self.running->fiber.switch_to(main_);
  }
}

void Computer::set_look(LogicalProcessor& processor) {
  const std::uint64_t limit = configuration_.limits.virtual_ns;
  std::uint64_t look = std::min(processor.now + kLongestTurnNs, processor.next_stall);
  look = std::min(look, limit == kNever ? kNever : limit + 1);
  if (processor.in_guest) {
    look = std::min(look, processor.preemption_ns);
  }
  processor.look_ns = look;
}

inline void Computer::set_horizon(LogicalProcessor& processor) {
  const std::uint64_t others = std::min(events_.next_ns(), turns_.earliest());
  processor.horizon = std::min(processor.look_ns, others);
}

// The common case is here: it is the turn of one of two, and nothing else is the matter.
void Computer::reach_boundary() {
  LogicalProcessor& self = *here_;
  const std::uint64_t now = self.now;
  if (now >= self.look_ns || now >= events_.next_ns()) [[unlikely]] {
    look_around();
    return;
  }
  LogicalProcessor* other = nullptr;
  if (turns_.is_between_two(now)) [[likely]] {
    // What a decision says is nothing to guess: one that keeps its turn is switched to as well.
    const auto tie = [this](std::uint32_t equals) { return decide_tie(equals); };
    other = processors_.data()[turns_.exchange(self.index, now, tie)].get();
    other->horizon = std::min(other->look_ns, now);
  } else {
    turns_.insert(self.index, now);
    other = &take_first_processor();
    wake_up(*other);
    set_horizon(*other);
  }
  if (switch_processors(self, *other)) [[unlikely]] {
    look_around();
  }
}

void Computer::stall(LogicalProcessor& processor) {
  const std::uint32_t draw = decide(kStall, 4096);
  processor.now += stall_length_ns(draw & 63);
  const std::uint64_t interval = configuration_.stall_interval_ns;
  processor.next_stall = processor.now + interval / 32 * (1 + (draw >> 6));
}

void Computer::look_around() {
  count(looks_, 1);
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
    if (self.in_guest) {
      if (!take_guest_event()) {
        break;
      }
    } else if (self.interrupts_enabled && self.apic.requests_interrupt()) {
      take_root_interrupt();
    } else {
      break;
    }
  }
  set_look(*here_);
  set_horizon(*here_);
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
    const std::uint64_t at_ns = std::min(turns_.earliest(), events_.next_ns());
    if (at_ns == kNever) {
      violation("no deadlock", "every processor sleeps and nothing is left to happen");
    }
    if (at_ns > configuration_.limits.virtual_ns) {
      finish(Outcome::kTimeLimit);
    }
    if (LogicalProcessor* const next = take_first()) {
      wake_up(*next);
      here_ = next;
      watch_switch(next);
      main_.switch_to(next->running->fiber, message_for(*next));
    } else {
      event_ns_ = at_ns;
      events_.run_next();
    }
  }
}

void Computer::schedule(std::uint64_t at_ns, EventHandler& handler, std::uint64_t token) {
  events_.schedule(at_ns, handler, token);
  bring_horizon_to(at_ns);
}

}  // namespace sim
