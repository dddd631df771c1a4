#include "hv/timer/unhalted_timer.h"

namespace hv {

bool UnhaltedTimer::write(std::uint32_t msr, std::uint64_t value, std::uint64_t run_time_100ns) {
  if (msr == kMsrUnhaltedTimerConfig) {
    const UnhaltedTimerConfig wanted{value};
    if (!wanted.is_legal()) {
      return false;
    }
    config_ = wanted;
  } else {
    period_100ns_ = value;
  }
  began_100ns_ = run_time_100ns;
  return true;
}

std::optional<std::uint64_t> UnhaltedTimer::left_100ns(std::uint64_t run_time_100ns) const {
  if (!runs()) {
    return std::nullopt;
  }
  const std::uint64_t had = run_time_100ns - began_100ns_;
  return had < period_100ns_ ? period_100ns_ - had : 0;
}

std::optional<std::uint8_t> UnhaltedTimer::expire(std::uint64_t run_time_100ns) {
  if (left_100ns(run_time_100ns) != 0) {
    return std::nullopt;
  }
  began_100ns_ += (run_time_100ns - began_100ns_) / period_100ns_ * period_100ns_;
  return config_.vector();
}

}  // namespace hv
