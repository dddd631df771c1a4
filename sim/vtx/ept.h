// The walk of EPT paging structures in system memory (SDM vol. 3 28.2).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "sim/vtx/capabilities.h"
#include "sim/vtx/exits.h"
#include "sim/vtx/platform.h"
#include "sim/vtx/tlb.h"

namespace sim::vtx {

enum class WalkOutcome : std::uint8_t { kMapped, kNotPresent, kMisconfigured };

struct Walk {
  WalkOutcome outcome = WalkOutcome::kNotPresent;
  /// The mapping if kMapped; its rights are the AND over the path, without kDirtyKnown. Rights are
  /// 0 if kNotPresent.
  CachedPage page;
  /// The tables that the walk passed, for the paging-structure caches.
  std::array<CachedTable, 3> tables{};
  std::uint8_t table_count = 0;
  /// Where each entry that was read stands, for the accessed and dirty flags; the last is the leaf.
  std::array<machine::Spa, 4> entries{};
  std::uint8_t entry_count = 0;
};

/// Walks from the root table, or from `start` if a paging-structure cache shortens the way. Reads
/// memory only.
[[nodiscard]] Walk walk_ept(Platform& platform, const Capabilities& capabilities,
                            std::uint64_t guest_page, const CachedTable& start);

/// Whether a present entry is one that the processor refuses (SDM vol. 3 28.2.3.1). `level` 0 is a
/// page-table entry, 3 a PML4 entry.
[[nodiscard]] bool is_misconfigured(const Capabilities& capabilities, std::uint64_t entry,
                                    std::uint8_t level);

/// Sets the accessed flag of each entry of the walk, and the leaf's dirty flag for a write (SDM
/// vol. 3 28.2.4).
void set_accessed_and_dirty(Platform& platform, const Walk& walk, bool dirty);

/// Whether an EPT pointer is valid for entry and INVEPT (SDM vol. 3 26.2.1.1).
[[nodiscard]] bool is_valid_eptp(const Capabilities& capabilities, std::uint64_t eptp);

}  // namespace sim::vtx
