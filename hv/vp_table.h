// The virtual processors of one partition, by index.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hv/hypervisor_limits.h"
#include "hv/memory/page_pool.h"
#include "hv/memory/record_pages.h"
#include "hv/tlfs/partition.h"
#include "hv/virtual_processor.h"
#include "machine/address.h"

namespace hv {

/// They share pages of the partition's pool, which return to it with destroy(). Whoever makes or
/// ends a VP holds the management lock, and the communication lock for insert() and remove(); to
/// look one up, either is enough.
class VpTable {
 public:
  explicit VpTable(PagePool& pool) : pool_(&pool), records_(pool) {}
  VpTable(const VpTable&) = delete;
  VpTable& operator=(const VpTable&) = delete;

  [[nodiscard]] std::uint32_t count() const { return count_; }
  /// Null if there is none.
  [[nodiscard]] VirtualProcessor* find(VpIndex index) const {
    const auto number = static_cast<std::uint32_t>(index);
    return number < slots_.size() ? slots_[number] : nullptr;
  }
  /// In ascending order of their indices; null where there is none.
  [[nodiscard]] auto begin() const { return slots_.begin(); }
  [[nodiscard]] auto end() const { return slots_.end(); }

  /// The pages that reserve() takes from the pool.
  [[nodiscard]] std::size_t pages_to_reserve(VpIndex index) const {
    return records_.pages_for_room() + (needs_slots(index) ? 1 : 0);
  }
  /// Makes room for a VP of that index; the pool has the pages.
  void reserve(VpIndex index);
  /// reserve() was true. Nobody finds the VP before insert().
  [[nodiscard]] VirtualProcessor& make(Partition& partition, VpIndex index, const VpPages& pages) {
    return records_.make(partition, index, pages);
  }
  void insert(VirtualProcessor& vp);
  /// Nobody finds it any more.
  void remove(VirtualProcessor& vp);
  /// Ends a VP that was removed.
  void end(VirtualProcessor& vp) { records_.end(vp); }

  /// Returns every page to the pool; no VP is left.
  void destroy();

 private:
  static constexpr std::uint32_t kOwnSlots = 4;
  static_assert(kMaxVirtualProcessors * sizeof(VirtualProcessor*) <= machine::kPageSize);

  [[nodiscard]] bool needs_slots(VpIndex index) const {
    return static_cast<std::uint32_t>(index) >= kOwnSlots && !slot_page_;
  }

  PagePool* pool_;
  RecordPages<VirtualProcessor> records_;
  std::array<VirtualProcessor*, kOwnSlots> own_slots_{};
  /// The slots in use: our own, or those in slot_page_.
  std::span<VirtualProcessor*> slots_{own_slots_};
  std::optional<machine::Spn> slot_page_;
  std::uint32_t count_ = 0;
};

}  // namespace hv
