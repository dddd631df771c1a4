// The synthetic time-unhalted timer of one virtual processor (TLFS "Timers"): interrupts it each
// time it has run for so long.
//
// A state machine over the processor's running time, as SyntheticTimers is over reference time.
#pragma once

#include <cstdint>
#include <optional>

#include "hv/tlfs/msr.h"
#include "hv/tlfs/timers.h"

namespace hv {

class UnhaltedTimer {
 public:
  /// `msr` is one of kMsrUnhaltedTimerConfig and kMsrUnhaltedTimerCount.
  [[nodiscard]] std::uint64_t read(std::uint32_t msr) const {
    return msr == kMsrUnhaltedTimerConfig ? config_.value : period_100ns_;
  }
  /// False for #GP, with nothing changed: a reserved bit, or enabled with a vector that no
  /// interrupt has. A period begins with each write.
  [[nodiscard]] bool write(std::uint32_t msr, std::uint64_t value, std::uint64_t run_time_100ns);

  /// How long the processor has to run until expire() has something to do; nothing while it is not
  /// enabled, or has no period.
  [[nodiscard]] std::optional<std::uint64_t> left_100ns(std::uint64_t run_time_100ns) const;
  /// The vector, 2 for an NMI, if a period ended by now. Several that ended are one.
  [[nodiscard]] std::optional<std::uint8_t> expire(std::uint64_t run_time_100ns);

  [[nodiscard]] bool runs() const { return config_.enabled() && period_100ns_ != 0; }

 private:
  UnhaltedTimerConfig config_;
  std::uint64_t period_100ns_ = 0;
  std::uint64_t began_100ns_ = 0;
};

}  // namespace hv
