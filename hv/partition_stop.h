// All virtual processors of a partition stand still while something of the partition changes that
// they read without a lock.
#pragma once

#include <cstdint>

#include "hv/hypervisor_limits.h"

namespace hv {

class Hypervisor;
class Partition;
class VirtualProcessor;

/// Stops them for a scope. Within a stop that the caller has begun (Hypervisor::try_begin_stop),
/// so that none is deleted meanwhile; no lock is held. One that is created meanwhile does not run
/// before its parent lets it.
class [[nodiscard]] PartitionStop {
 public:
  /// `except` runs here, or is null.
  PartitionStop(Hypervisor& hypervisor, Partition& partition, const VirtualProcessor* except);
  /// Lets them run on, and makes each look at what changed.
  ~PartitionStop();
  PartitionStop(const PartitionStop&) = delete;
  PartitionStop& operator=(const PartitionStop&) = delete;

  /// Calls `action` with each of them.
  template <class Action>
  void for_each(Action action) {
    for (std::uint32_t index = 0; index < kMaxVirtualProcessors; ++index) {
      if (((stopped_ >> index) & 1) != 0) {
        action(*find(index));
      }
    }
  }

 private:
  [[nodiscard]] VirtualProcessor* find(std::uint32_t index) const;

  Hypervisor& hypervisor_;
  Partition& partition_;
  /// A bit for each index.
  std::uint64_t stopped_ = 0;
  static_assert(kMaxVirtualProcessors <= 64);
};

}  // namespace hv
