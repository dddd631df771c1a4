#include "hv/timer/synthetic_timers.h"

#include "hv/timer/timer_schedule.h"
#include "machine/invariant.h"

namespace hv {

namespace {

constexpr bool reached(std::uint64_t time, std::uint64_t now) {
  return is_reached<TimerWords>(time, now);
}

}  // namespace

SyntheticTimers::SyntheticTimers() {
  for (std::uint32_t index = 0; index < kSyntheticTimerCount; ++index) {
    Timer& timer = timers_[index];
    timer.message.owner = &message_owner_;
    timer.message.buffer = index;
    timer.message.on_delivery = OnDelivery::kTime;
    timer.message.header.type = MessageType::kTimerExpired;
    timer.message.header.payload_size = sizeof(TimerExpiredPayload);
    timer.message.payload = reinterpret_cast<const std::byte*>(&timer.payload);
    timer.payload.timer_index = index;
  }
}

void SyntheticTimers::reset() {
  INVARIANT(message_owner_.busy_buffers() == 0);
  for (Timer& timer : timers_) {
    timer.config = TimerConfig{};
    timer.count = 0;
    timer.armed = false;
    timer.undelivered = false;
  }
}

std::uint64_t SyntheticTimers::read(std::uint32_t msr) const {
  INVARIANT(has_msr(msr));
  const Timer& timer = timers_[(msr - kMsrStimer0Config) / 2];
  return (msr - kMsrStimer0Config) % 2 == 0 ? timer.config.value : timer.count;
}

bool SyntheticTimers::write(std::uint32_t msr, std::uint64_t value, std::uint64_t now_100ns) {
  INVARIANT(has_msr(msr));
  Timer& timer = timers_[(msr - kMsrStimer0Config) / 2];
  const bool is_count = (msr - kMsrStimer0Config) % 2 != 0;
  if (is_count) {
    write_count(timer, value, now_100ns);
    return true;
  }
  if ((value & TimerConfig::kReservedBits) != 0) {
    return false;
  }
  write_config(timer, value, now_100ns);
  return true;
}

void SyntheticTimers::write_config(Timer& timer, std::uint64_t value, std::uint64_t now) {
  timer.config.value = value;
  evaluate(timer, now);
}

void SyntheticTimers::write_count(Timer& timer, std::uint64_t value, std::uint64_t now) {
  timer.count = value;
  if (value == 0) {
    timer.config.value &= ~TimerConfig::kEnable;
  } else if (timer.config.auto_enable()) {
    timer.config.value |= TimerConfig::kEnable;
  }
  evaluate(timer, now);
}

/// Starts or stops a timer after one of its registers was written.
void SyntheticTimers::evaluate(Timer& timer, std::uint64_t now) {
  const bool has_target = timer.config.direct() || timer.config.sint() != 0;
  if (!has_target) {
    timer.config.value &= ~TimerConfig::kEnable;
  }
  const bool never = timer.config.periodic() && timer.count > kLongestTimerPeriod100ns;
  timer.armed = timer.config.enabled() && timer.count != 0 && !never;
  if (timer.armed) {
    timer.due = timer.config.periodic() ? now + timer.count : timer.count;
    timer.signal_at = timer.due;
  }
}

bool SyntheticTimers::is_blocked(std::uint32_t index) const {
  return !timers_[index].config.direct() && message_owner_.is_busy(index);
}

std::optional<std::uint64_t> SyntheticTimers::next_due(std::uint64_t now_100ns,
                                                       bool include_lazy) const {
  std::optional<std::uint64_t> earliest;
  for (std::uint32_t index = 0; index < kSyntheticTimerCount; ++index) {
    const Timer& timer = timers_[index];
    if (timer.undelivered) {
      return now_100ns;
    }
    if (!timer.armed || (timer.config.lazy() && !include_lazy) || is_blocked(index)) {
      continue;
    }
    if (reached(timer.signal_at, now_100ns)) {
      return timer.signal_at;
    }
    if (!earliest || timer.signal_at - now_100ns < *earliest - now_100ns) {
      earliest = timer.signal_at;
    }
  }
  return earliest;
}

std::optional<TimerExpiration> SyntheticTimers::expire(std::uint64_t now_100ns) {
  for (std::uint32_t index = 0; index < kSyntheticTimerCount; ++index) {
    Timer& timer = timers_[index];
    if (timer.undelivered) {
      timer.undelivered = false;
      return message_of(index);
    }
    if (!timer.armed || !reached(timer.signal_at, now_100ns) || is_blocked(index)) {
      continue;
    }
    TimerExpiration expiration;
    if (timer.config.direct()) {
      expiration = {.timer = index, .direct = true, .vector = timer.config.vector()};
    } else {
      timer.payload.expiration_time_100ns = timer.due;
      expiration = message_of(index);
    }
    advance(timer, now_100ns);
    return expiration;
  }
  return std::nullopt;
}

TimerExpiration SyntheticTimers::message_of(std::uint32_t index) {
  Timer& timer = timers_[index];
  message_owner_.set_busy(index);
  return {.timer = index, .sint = timer.config.sint(), .message = &timer.message};
}

/// After an expiration: a one-shot timer stops, a periodic one goes on.
void SyntheticTimers::advance(Timer& timer, std::uint64_t now) {
  if (!timer.config.periodic()) {
    timer.config.value &= ~TimerConfig::kEnable;
    timer.armed = false;
    return;
  }
  const TimerDue<std::uint64_t> next =
      next_expiration<TimerWords>(timer.due, timer.count, timer.config.lazy(), now);
  timer.due = next.due;
  timer.signal_at = next.signal_at;
}

void SyntheticTimers::save(SyntheticTimersState& state) const {
  state = {};
  for (std::uint32_t index = 0; index < kSyntheticTimerCount; ++index) {
    const Timer& timer = timers_[index];
    SyntheticTimerState& saved = state.timers[index];
    saved.config = timer.config.value;
    saved.count = timer.count;
    saved.adjustment = timer.armed && timer.config.periodic() ? timer.due : 0;
    if (message_owner_.is_busy(index) || timer.undelivered) {
      saved.flags = SyntheticTimerState::kUndeliveredMessage;
      saved.undelivered_expiration_time_100ns = timer.payload.expiration_time_100ns;
    }
  }
}

bool SyntheticTimers::is_restorable(const SyntheticTimersState& state) {
  for (const SyntheticTimerState& saved : state.timers) {
    if ((saved.config & TimerConfig::kReservedBits) != 0 || saved.reserved != 0 ||
        (saved.flags & ~SyntheticTimerState::kUndeliveredMessage) != 0) {
      return false;
    }
  }
  return true;
}

bool SyntheticTimers::restore(const SyntheticTimersState& state, std::uint64_t now_100ns) {
  INVARIANT(message_owner_.busy_buffers() == 0);
  if (!is_restorable(state)) {
    return false;
  }
  for (std::uint32_t index = 0; index < kSyntheticTimerCount; ++index) {
    const SyntheticTimerState& saved = state.timers[index];
    Timer& timer = timers_[index];
    timer.config.value = saved.config;
    timer.count = saved.count;
    evaluate(timer, now_100ns);
    if (timer.armed && timer.config.periodic() && saved.adjustment != 0) {
      timer.due = saved.adjustment;
      timer.signal_at = timer.due;
    }
    timer.undelivered = (saved.flags & SyntheticTimerState::kUndeliveredMessage) != 0;
    timer.payload.expiration_time_100ns = saved.undelivered_expiration_time_100ns;
  }
  return true;
}

}  // namespace hv
