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
    if (processor >= size_) [[unlikely]] {
      size_ = processor + 1;
      groups_[0] = least(0, kGroup);  // not kept until now
    }
    if (size_ > kGroup) {
      const std::uint32_t first = processor / kGroup * kGroup;
      groups_[processor / kGroup] = least(first, first + kGroup);
    }
  }
  [[nodiscard]] std::uint64_t earliest() const {
    if (size_ <= kGroup) {
      return least(0, size_);
    }
    return *std::min_element(groups_.begin(), groups_.end());
  }
  /// How many processors act at that time.
  [[nodiscard]] std::uint32_t count(std::uint64_t at_ns) const {
    std::uint32_t found = 0;
    for_each_group(at_ns, [&](std::uint32_t first, std::uint32_t last) {
      for (std::uint32_t index = first; index < last; ++index) {
        found += times_[index] == at_ns ? 1 : 0;
      }
      return false;
    });
    return found;
  }
  /// The nth of them; there are more than n.
  [[nodiscard]] std::uint32_t find(std::uint64_t at_ns, std::uint32_t nth) const {
    std::uint32_t found = 0;
    for_each_group(at_ns, [&](std::uint32_t first, std::uint32_t last) {
      for (std::uint32_t index = first; index < last; ++index) {
        if (times_[index] == at_ns && nth-- == 0) {
          found = index;
          return true;
        }
      }
      return false;
    });
    return found;
  }

 private:
  static constexpr std::uint32_t kGroup = 8;
  static constexpr std::uint32_t kGroups = machine::kMaxLogicalProcessors / kGroup;

  [[nodiscard]] std::uint64_t least(std::uint32_t first, std::uint32_t last) const {
    std::uint64_t least = kNever;
    for (std::uint32_t index = first; index < last; ++index) {
      least = std::min(least, times_[index]);
    }
    return least;
  }
  /// The groups that may have a processor at that time, until `visit` says that it has found it.
  template <class Visit>
  void for_each_group(std::uint64_t at_ns, Visit visit) const {
    if (size_ <= kGroup) {
      visit(0, size_);
      return;
    }
    for (std::uint32_t group = 0; group < kGroups; ++group) {
      if (groups_[group] == at_ns && visit(group * kGroup, (group + 1) * kGroup)) {
        return;
      }
    }
  }

  std::array<std::uint64_t, machine::kMaxLogicalProcessors> times_;
  /// The least of each eight times; kept while there are more than eight processors.
  std::array<std::uint64_t, kGroups> groups_;
  std::uint32_t size_ = 0;
};

}  // namespace sim
