// The guest physical address space of one partition: what its parent mapped, and the hypervisor's
// overlay pages above it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "hv/memory/ept_table.h"
#include "hv/memory/gpa_rights.h"
#include "hv/memory/overlay_table.h"
#include "hv/memory/page_pool.h"
#include "hv/memory/page_references.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"
#include "machine/vmx_root.h"

namespace hv {

/// EPT tables in system memory, paid from a pool.
class PoolTableMemory {
 public:
  explicit PoolTableMemory(PagePool& pool) : pool_(&pool) {}
  [[nodiscard]] std::uint64_t load(machine::Spa entry) const { return machine::load_u64(entry); }
  void store(machine::Spa entry, std::uint64_t value) const { machine::store_u64(entry, value); }
  [[nodiscard]] std::uint64_t compare_exchange(machine::Spa entry, std::uint64_t expected,
                                               std::uint64_t desired) const {
    return machine::compare_exchange_u64(entry, expected, desired);
  }
  [[nodiscard]] std::optional<machine::Spn> allocate() const { return pool_->take(); }
  void free(machine::Spn page) const { pool_->give(page); }

 private:
  PagePool* pool_;
};

/// What a space has, for its partition's statistics.
struct GpaSpaceFigures {
  /// Pages that are mapped, in entries of 4 KiB, and entries of 2 MiB. A page beneath an overlay
  /// counts, an overlay does not.
  std::uint64_t small_pages = 0;
  std::uint64_t large_pages = 0;
  /// Calls that changed something.
  std::uint64_t modifications = 0;
  /// Entries of 2 MiB that became 512 of 4 KiB.
  std::uint64_t splits = 0;
  friend constexpr bool operator==(const GpaSpaceFigures&, const GpaSpaceFigures&) = default;
};

/// Pages of the space answer kInvalidParameter when they lie outside of it; calls that need memory
/// answer kInsufficientMemory and have then changed nothing. Callers hold the management lock.
///
/// After a call, if invalidation_needed(), the caller makes every processor that may run the
/// partition drop its translations (INVEPT) and then calls invalidation_done(), before any page
/// that was taken away is used for something else.
class GpaSpace {
 public:
  static constexpr std::uint64_t kPagesPerLargePage = 512;

  /// `root_table` is a zeroed page that was taken from `pool`; GPNs are below `page_count`. What is
  /// mapped is counted in `references`; the root's space, which is where pages come from, has none.
  GpaSpace(PagePool& pool, machine::Spn root_table, std::uint64_t page_count,
           PageReferences* references);
  GpaSpace(const GpaSpace&) = delete;
  GpaSpace& operator=(const GpaSpace&) = delete;

  [[nodiscard]] machine::Spn root_table() const { return table_.root(); }
  [[nodiscard]] std::uint64_t page_count() const { return page_count_; }
  [[nodiscard]] bool contains(machine::Gpn gpn) const { return gpn.value() < page_count_; }
  [[nodiscard]] bool invalidation_needed() const { return table_.invalidation_needed(); }
  void invalidation_done() { table_.release_retired(); }

  /// What the partition sees at a page: an overlay, or what was mapped, or nothing.
  [[nodiscard]] std::optional<GpaMapping> lookup(machine::Gpn gpn) const;
  /// The 512 pages around a page, if one entry maps them.
  [[nodiscard]] std::optional<GpaMapping> lookup_large(machine::Gpn gpn) const;
  /// What was mapped at a page, whether an overlay hides it or not.
  [[nodiscard]] std::optional<GpaMapping> lookup_beneath_overlays(machine::Gpn gpn) const;
  [[nodiscard]] bool is_overlaid(machine::Gpn gpn) const;

  /// The last of these for pages one behind the other, all in the same 2 MiB, as entries of 4 KiB.
  void read_leaves(machine::Gpn first, std::span<EptEntry> leaves) const;

  [[nodiscard]] Status map(machine::Gpn gpn, const GpaMapping& mapping);
  /// How far map_leaves() came.
  struct RunOutcome {
    Status status = Status::kSuccess;
    std::size_t completed = 0;
  };
  /// map() of each page from `first` on, all in the same 2 MiB, until one fails. The leaves are of
  /// legal mappings; they do not stay what they are.
  [[nodiscard]] RunOutcome map_leaves(machine::Gpn first, std::span<EptEntry> leaves);
  /// 512 pages; `gpn` and the mapping's page are 512-aligned, else kInvalidParameter.
  [[nodiscard]] Status map_large(machine::Gpn gpn, const GpaMapping& mapping);
  /// A page that is not mapped counts as unmapped: success.
  [[nodiscard]] Status unmap(machine::Gpn gpn);
  [[nodiscard]] Status unmap_large(machine::Gpn gpn);
  /// What the processor has noted stays, but for what `notes` says. kOperationDenied for a page
  /// that is not mapped.
  [[nodiscard]] Status change_rights(machine::Gpn gpn, GpaRights rights,
                                     const GpaNoteChange& notes = {});
  /// The same for 512 pages, all mapped; `gpn` is 512-aligned, else kInvalidParameter. A page of
  /// 2 MiB stays one.
  [[nodiscard]] Status change_rights_large(machine::Gpn gpn, GpaRights rights,
                                           const GpaNoteChange& notes = {});

  /// Whether anybody asks for notes; without, neither processors nor the hypervisor make any.
  [[nodiscard]] bool is_tracking() const { return tracking_; }
  void set_tracking(bool tracking) { tracking_ = tracking; }
  /// What was noted of a page until now, nothing of one that is not mapped; and changes it. A page
  /// of 2 MiB is split, if that changes what is noted of the others.
  [[nodiscard]] std::expected<GpaNotes, Status> exchange_notes(machine::Gpn gpn,
                                                               const GpaNoteChange& change);
  /// The hypervisor has accessed what the partition sees at a page.
  void note_access(machine::Gpn gpn, bool write);

  [[nodiscard]] const GpaSpaceFigures& figures() const { return figures_; }

  /// Makes room for the records of `total` overlays, so that showing them lacks memory only for the
  /// tables around their place.
  [[nodiscard]] Status reserve_overlays(std::uint32_t total);
  /// The pages that reserve_overlays() takes from the pool.
  [[nodiscard]] std::size_t pages_to_reserve_overlays(std::uint32_t total) const {
    return overlays_.pages_to_reserve(total);
  }
  /// Puts `page` over whatever is at `gpn`, above other overlays there. An overlay of that id which
  /// is already shown moves; if that fails it stays where it was. kInvalidParameter for a page that
  /// was mapped to be shown always.
  [[nodiscard]] Status show_overlay(OverlayId id, machine::Gpn gpn, machine::Spn page,
                                    GpaRights rights);
  /// Uncovers what is beneath; nothing happens if the overlay is not shown.
  void hide_overlay(OverlayId id);
  void hide_all_overlays();
  /// Those that the partition put there itself, which a reset takes away; not its monitor pages.
  void hide_own_overlays();
  /// The kind of the overlay that is seen at a page.
  [[nodiscard]] std::optional<OverlayKind> overlay_at(machine::Gpn gpn) const;
  [[nodiscard]] std::optional<machine::Gpn> overlay_place(OverlayId id) const;

  /// Returns every table and record to the pool. Nobody may walk the tables any more.
  void destroy();

 private:
  [[nodiscard]] bool large_range_is_valid(machine::Gpn gpn) const;
  [[nodiscard]] bool is_mapped(machine::Gpn gpn) const;
  [[nodiscard]] bool is_plain_run(machine::Gpn first, std::size_t count) const;
  [[nodiscard]] bool any_overlay_in_large_page(machine::Gpn gpn) const;
  void write_entry(machine::Gpn gpn, const std::optional<GpaMapping>& mapping);
  void uncover(const Overlay& overlay);
  [[nodiscard]] Status make_small(machine::Gpn gpn);
  void count_split();
  void count_replaced(const std::optional<GpaMapping>& before,
                      const std::optional<GpaMapping>& after);
  void forget_large(machine::Gpn gpn);
  void forget_everything();

  EptTable<PoolTableMemory> table_;
  OverlayTable overlays_;
  std::uint64_t page_count_;
  PageReferences* references_;
  bool tracking_ = false;
  GpaSpaceFigures figures_;
};

}  // namespace hv
