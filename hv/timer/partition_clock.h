// A partition's reference time, which its parent may stop, set and let go on.
#pragma once

#include <cstdint>

#include "hv/timer/reference_time.h"
#include "machine/shared.h"

namespace hv {

/// Read by any processor at any time. Changed by one at a time, while no virtual processor of the
/// partition runs: so none of them sees time go back.
class PartitionClock {
 public:
  static constexpr std::uint64_t kNever = ~0ull;

  /// Before anybody reads it: shows 0 at `tsc`, and runs.
  void begin(std::uint64_t tsc_frequency_hz, std::uint64_t tsc) {
    counter_ = ReferenceClock(tsc_frequency_hz, 0, 0);
    offset_.store(0 - counter_.time_at(tsc));
  }

  [[nodiscard]] std::uint64_t scale() const { return counter_.scale(); }
  /// For the reference TSC page, while it runs. Modulo 2^64.
  [[nodiscard]] std::uint64_t offset() const { return offset_.load(); }
  [[nodiscard]] bool is_stopped() const { return stopped_.load() != 0; }

  [[nodiscard]] std::uint64_t time_at(std::uint64_t tsc) const {
    if (stopped_.load() != 0) {
      return stopped_at_.load();
    }
    return counter_.time_at(tsc) + offset_.load();
  }
  /// As ReferenceClock's; the largest word for what does not come while it is stopped.
  [[nodiscard]] std::uint64_t ticks_until(std::uint64_t due_100ns, std::uint64_t tsc) const {
    if (stopped_.load() != 0) {
      const std::uint64_t distance = due_100ns - stopped_at_.load();
      return distance == 0 || (distance >> 63) != 0 ? 0 : kNever;
    }
    return counter_.ticks_until(due_100ns - offset_.load(), tsc);
  }

  void stop(std::uint64_t tsc) {
    stopped_at_.store(time_at(tsc));
    stopped_.store(1);
  }
  /// While it is stopped.
  void set(std::uint64_t time_100ns) { stopped_at_.store(time_100ns); }
  /// Runs on from what it shows.
  void go_on(std::uint64_t tsc) {
    offset_.store(stopped_at_.load() - counter_.time_at(tsc));
    stopped_.store(0);
  }

 private:
  /// Counts from where the time-stamp counter is 0.
  ReferenceClock counter_;
  machine::Shared<std::uint64_t> offset_{0};
  machine::Shared<std::uint64_t> stopped_at_{0};
  machine::Shared<std::uint32_t> stopped_{0};
};

}  // namespace hv
