// When each processor that does not run acts next: whose turn it is, in a few comparisons whatever
// the number of processors.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "machine/boot.h"
#include "sim/event_queue.h"

namespace sim {

class TurnOrder {
 public:
  TurnOrder() {
    times_.fill(kNever);
    groups_.fill(kNever);
  }

  void set(std::uint32_t processor, std::uint64_t at_ns) {
    times_[processor] = at_ns;
    const std::uint32_t group = processor / kGroup;
    const auto first = times_.begin() + group * kGroup;
    groups_[group] = *std::min_element(first, first + kGroup);
    used_ = std::max(used_, group + 1);
  }
  [[nodiscard]] std::uint64_t earliest() const {
    return *std::min_element(groups_.begin(), groups_.begin() + used_);
  }
  /// How many processors act at that time.
  [[nodiscard]] std::uint32_t count(std::uint64_t at_ns) const {
    std::uint32_t found = 0;
    for (std::uint32_t group = 0; group < used_; ++group) {
      if (groups_[group] == at_ns) {
        const auto first = times_.begin() + group * kGroup;
        found += static_cast<std::uint32_t>(std::count(first, first + kGroup, at_ns));
      }
    }
    return found;
  }
  /// The nth of them; there are more than n.
  [[nodiscard]] std::uint32_t find(std::uint64_t at_ns, std::uint32_t nth) const {
    std::uint32_t group = 0;
    for (;; ++group) {
      if (groups_[group] != at_ns) {
        continue;
      }
      for (std::uint32_t index = group * kGroup; index < (group + 1) * kGroup; ++index) {
        if (times_[index] == at_ns && nth-- == 0) {
          return index;
        }
      }
    }
  }

 private:
  static constexpr std::uint32_t kGroup = 8;

  std::array<std::uint64_t, machine::kMaxLogicalProcessors> times_;
  std::array<std::uint64_t, machine::kMaxLogicalProcessors / kGroup> groups_;
  std::uint32_t used_ = 1;
};

}  // namespace sim
