// Which pages of RAM some child has in its GPA space, so that none of them becomes the
// hypervisor's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hv/lock_order.h"
#include "hv/memory/ept_entry.h"
#include "machine/address.h"
#include "machine/boot.h"
#include "machine/spin_lock.h"

namespace hv {

/// Counts, page by page, the mappings of children that lead there; a page beneath an overlay is
/// mapped, too. A mapping of 2 MiB is counted once for its frame, so that the counts of a child in
/// large pages stay untouched. Pages outside of RAM are not counted: nobody can deposit them.
class PageReferences {
 public:
  PageReferences() = default;
  PageReferences(const PageReferences&) = delete;
  PageReferences& operator=(const PageReferences&) = delete;

  /// Pages that the counts of so much RAM need.
  [[nodiscard]] static std::uint64_t pages_needed(std::span<const machine::MemoryRange> ram);
  /// Counts for `ram` in the pages from `storage`, which are zeroed. Once, before anything else.
  void cover(std::span<const machine::MemoryRange> ram, machine::Spn storage);

  /// A mapping of one page led to `before` and leads to `after` now.
  void replace(const std::optional<machine::Spn>& before, const std::optional<machine::Spn>& after);
  /// Mappings of one page each came, or went, by their entries of 4 KiB; those that map nothing do
  /// not count.
  void add_all(std::span<const EptEntry> leaves);
  void remove_all(std::span<const EptEntry> leaves);
  /// A mapping of the 512 pages from `first`, which is 512-aligned, came or went.
  void add_large(machine::Spn first);
  void remove_large(machine::Spn first);
  /// A mapping of 512 pages became one of each page.
  void split_large(machine::Spn first);

  [[nodiscard]] bool any(machine::Spn page);

 private:
  struct Range {
    machine::Spn first;
    std::uint64_t page_count = 0;
    /// A count for each page, then one for each frame of which a page is in the range.
    machine::Spa counts;
  };
  [[nodiscard]] const Range* range_of(machine::Spn page) const;
  /// Where the count of a page or of a whole frame is; nothing for what is not counted so.
  [[nodiscard]] std::optional<machine::Spa> page_count(machine::Spn page) const;
  [[nodiscard]] std::optional<machine::Spa> frame_count(machine::Spn page) const;
  void add_each(machine::Spn first);
  void add_run(machine::Spn first, std::size_t count);

  machine::SpinLock lock_{kPageReferencesRank};
  std::array<Range, machine::kMaxMemoryRanges> ranges_{};
  std::size_t range_count_ = 0;
};

}  // namespace hv
