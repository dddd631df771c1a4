#include "hv/timer/synthetic_timers.h"

#include <algorithm>

#include "machine/invariant.h"

namespace hv {

namespace {

/// A timer that fell further behind than this many periods drops what it missed.
constexpr std::uint64_t kMaxPeriodsBehind = 8;

constexpr std::uint64_t kLongestDelay = 1ull << 62;

/// Reference time wraps: the earlier of two times is the one from which the other is less than half
/// of the range away.
constexpr bool reached(std::uint64_t time, std::uint64_t now) { return (now - time) >> 63 == 0; }

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
  timer.armed = timer.config.enabled() && timer.count != 0;
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
    if (!timer.armed || !reached(timer.signal_at, now_100ns) || is_blocked(index)) {
      continue;
    }
    TimerExpiration expiration;
    expiration.timer = index;
    expiration.direct = timer.config.direct();
    if (expiration.direct) {
      expiration.vector = timer.config.vector();
    } else {
      expiration.sint = timer.config.sint();
      expiration.message = &timer.message;
      timer.payload.expiration_time_100ns = timer.due;
      message_owner_.set_busy(index);
    }
    advance(timer, now_100ns);
    return expiration;
  }
  return std::nullopt;
}

/// After an expiration: a one-shot timer stops; a periodic one goes on in step with its first due
/// time. A timer that is late catches up by periods half as long, a lazy one skips what it missed,
/// and also what would come sooner than half a period from now.
void SyntheticTimers::advance(Timer& timer, std::uint64_t now) {
  if (!timer.config.periodic()) {
    timer.config.value &= ~TimerConfig::kEnable;
    timer.armed = false;
    return;
  }
  const std::uint64_t period = timer.count;
  const std::uint64_t half = period - period / 2;
  timer.due += period;
  if (reached(timer.due, now)) {
    const std::uint64_t periods_behind = (now - timer.due) / period;
    if (timer.config.lazy()) {
      timer.due += (periods_behind + 1) * period;
    } else if (periods_behind > kMaxPeriodsBehind) {
      timer.due += (periods_behind - kMaxPeriodsBehind) * period;
    }
  }
  if (timer.config.lazy() && timer.due - now < half) {
    timer.due += period;
  }
  // Always ahead of now, whatever the guest chose for a period: expire() comes to an end.
  const std::uint64_t soonest = now + std::min(half, kLongestDelay);
  const bool too_soon = reached(timer.due, now) || reached(timer.due, soonest);
  timer.signal_at = too_soon ? soonest : timer.due;
}

}  // namespace hv
