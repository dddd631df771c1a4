#include "hv/apic/apic_timer.h"

namespace hv {

/// Divide configuration 3, 1:0: by 2, 4, ... 128, and by 1.
std::uint64_t ApicTimer::divisor() const {
  const std::uint32_t code = ((divide_configuration_ >> 1) & 4u) | (divide_configuration_ & 3u);
  return 1ull << ((code + 1) & 7);
}

std::uint32_t ApicTimer::current_count(std::uint64_t now) const {
  if (!counting_) {
    return 0;
  }
  const std::uint64_t elapsed = now - started_at_;
  if (elapsed < period()) {
    return static_cast<std::uint32_t>(initial_count_ - elapsed / divisor());
  }
  if (mode_ != ApicTimerMode::kPeriodic) {
    return 0;
  }
  return static_cast<std::uint32_t>(initial_count_ - elapsed % period() / divisor());
}

void ApicTimer::set_mode(ApicTimerMode mode) {
  const bool was_deadline = mode_ == ApicTimerMode::kTscDeadline;
  const bool is_deadline = mode == ApicTimerMode::kTscDeadline;
  if (was_deadline != is_deadline) {
    counting_ = false;
    initial_count_ = 0;
    tsc_deadline_ = 0;
  }
  mode_ = mode;
}

void ApicTimer::set_initial_count(std::uint32_t count, std::uint64_t now) {
  if (mode_ == ApicTimerMode::kTscDeadline) {
    return;
  }
  initial_count_ = count;
  counting_ = count != 0;
  started_at_ = now;
}

void ApicTimer::continue_from(std::uint32_t initial_count, std::uint32_t left, std::uint64_t now) {
  if (mode_ == ApicTimerMode::kTscDeadline) {
    return;
  }
  initial_count_ = initial_count;
  counting_ = left != 0;  // that of a periodic timer is never 0
  started_at_ = now - (initial_count - left) * divisor();
}

void ApicTimer::set_divide_configuration(std::uint32_t configuration, std::uint64_t now) {
  // What is left of the count goes on at the new rate.
  const std::uint32_t left = current_count(now);
  divide_configuration_ = static_cast<std::uint8_t>(configuration);
  if (counting_) {
    started_at_ = now - (initial_count_ - left) * divisor();
  }
}

void ApicTimer::set_tsc_deadline(std::uint64_t deadline) {
  if (mode_ == ApicTimerMode::kTscDeadline) {
    tsc_deadline_ = deadline;
  }
}

std::optional<std::uint64_t> ApicTimer::deadline() const {
  if (mode_ == ApicTimerMode::kTscDeadline) {
    return tsc_deadline_ != 0 ? std::optional(tsc_deadline_) : std::nullopt;
  }
  return counting_ ? std::optional(started_at_ + period()) : std::nullopt;
}

bool ApicTimer::expire(std::uint64_t now) {
  const std::optional<std::uint64_t> end = deadline();
  if (!end || now < *end) {
    return false;
  }
  switch (mode_) {
    case ApicTimerMode::kOneShot:
      counting_ = false;
      break;
    case ApicTimerMode::kPeriodic:
      started_at_ += (now - started_at_) / period() * period();
      break;
    case ApicTimerMode::kTscDeadline:
      tsc_deadline_ = 0;
      break;
  }
  return true;
}

}  // namespace hv
