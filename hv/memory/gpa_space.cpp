#include "hv/memory/gpa_space.h"

#include "hv/memory/gpa_range.h"
#include "machine/invariant.h"

namespace hv {

using machine::Gpn;
using machine::Spn;

namespace {

std::optional<GpaMapping> mapping_of(EptEntry entry) {
  return entry.mapped() ? std::optional(entry.mapping()) : std::nullopt;
}

}  // namespace

GpaSpace::GpaSpace(PagePool& pool, Spn root_table, std::uint64_t page_count,
                   PageReferences* references)
    : table_(PoolTableMemory(pool), root_table),
      overlays_(pool),
      page_count_(page_count),
      references_(references) {
  INVARIANT(page_count <= EptTable<PoolTableMemory>::kPageCount);
}

std::optional<GpaMapping> GpaSpace::lookup(Gpn gpn) const {
  return contains(gpn) ? table_.lookup(gpn) : std::nullopt;
}

std::optional<GpaMapping> GpaSpace::lookup_large(Gpn gpn) const {
  if (!contains(gpn) || !table_.is_large(gpn)) {
    return std::nullopt;
  }
  return table_.lookup(Gpn(gpn.value() - gpn.value() % kPagesPerLargePage));
}

std::optional<GpaMapping> GpaSpace::lookup_beneath_overlays(Gpn gpn) const {
  const Overlay* const overlay = overlays_.visible_at(gpn);
  return overlay != nullptr ? overlay->beneath : lookup(gpn);
}

bool GpaSpace::is_overlaid(Gpn gpn) const { return overlays_.visible_at(gpn) != nullptr; }

Status GpaSpace::map(Gpn gpn, const GpaMapping& mapping) {
  if (!contains(gpn) || !mapping.legal()) {
    return Status::kInvalidParameter;
  }
  if (const Overlay* const overlay = overlays_.visible_at(gpn)) {
    if (mapping.no_overlay) {
      return Status::kObjectInUse;
    }
    count_replaced(overlay->beneath, mapping);
    overlays_.set_beneath(gpn, mapping);
    ++figures_.modifications;
    return Status::kSuccess;
  }
  const Status status = table_.map(gpn, mapping);
  if (status == Status::kSuccess) {
    count_split();
    count_replaced(mapping_of(table_.last_change().replaced), mapping);
    ++figures_.modifications;
  }
  return status;
}

/// Whether all pages of a run are in the space, and none is overlaid.
bool GpaSpace::is_plain_run(Gpn first, std::size_t count) const {
  return contains(first) && count <= page_count_ - first.value() && !overlays_.any_in(first, count);
}

void GpaSpace::read_leaves(Gpn first, std::span<EptEntry> leaves) const {
  if (is_plain_run(first, leaves.size())) {
    table_.read_leaves(first, leaves);
    return;
  }
  for (std::size_t index = 0; index < leaves.size(); ++index) {
    const std::optional<GpaMapping> mapping = lookup_beneath_overlays(first + index);
    leaves[index] = mapping ? EptEntry::leaf(*mapping, false) : EptEntry();
  }
}

GpaSpace::RunOutcome GpaSpace::map_leaves(Gpn first, std::span<EptEntry> leaves) {
  RunOutcome outcome;
  if (!is_plain_run(first, leaves.size())) {
    while (outcome.completed < leaves.size() && outcome.status == Status::kSuccess) {
      outcome.status = map(first + outcome.completed, leaves[outcome.completed].mapping());
      outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
    }
    return outcome;
  }
  // The last thing that may fail.
  outcome.status = table_.prepare(first);
  if (outcome.status != Status::kSuccess) {
    return outcome;
  }
  outcome.completed = leaves.size();
  count_split();
  if (references_ != nullptr) {
    references_->add_all(leaves);
  }
  const std::uint64_t went = table_.exchange_leaves(first, leaves);
  if (references_ != nullptr && went != 0) {
    references_->remove_all(leaves);
  }
  figures_.small_pages += leaves.size() - went;
  figures_.modifications += leaves.size();
  return outcome;
}

/// One mapping of 4 KiB became another, or came, or went.
void GpaSpace::count_replaced(const std::optional<GpaMapping>& before,
                              const std::optional<GpaMapping>& after) {
  figures_.small_pages += after ? 1 : 0;
  figures_.small_pages -= before ? 1 : 0;
  if (references_ != nullptr) {
    references_->replace(before ? std::optional(before->page) : std::nullopt,
                         after ? std::optional(after->page) : std::nullopt);
  }
}

/// If the last change of the tables had to split a large page for it.
void GpaSpace::count_split() {
  const auto& change = table_.last_change();
  if (!change.split) {
    return;
  }
  --figures_.large_pages;
  figures_.small_pages += kPagesPerLargePage;
  ++figures_.splits;
  if (references_ != nullptr) {
    references_->split_large(change.split_page);
  }
}

/// Splits the large page around `gpn`, if there is one.
Status GpaSpace::make_small(Gpn gpn) {
  if (!table_.is_large(gpn)) {
    return Status::kSuccess;
  }
  const Status status = table_.prepare(gpn);
  if (status == Status::kSuccess) {
    count_split();
  }
  return status;
}

/// What the tables say in the 512 pages from `gpn` is about to go.
void GpaSpace::forget_large(Gpn gpn) {
  if (table_.is_large(gpn)) {
    --figures_.large_pages;
    if (references_ != nullptr) {
      references_->remove_large(table_.lookup(gpn)->page);
    }
    return;
  }
  if (!table_.has_small(gpn)) {
    return;
  }
  for (std::uint64_t index = 0; index < kPagesPerLargePage; ++index) {
    count_replaced(table_.lookup(gpn + index), std::nullopt);
  }
}

bool GpaSpace::large_range_is_valid(Gpn gpn) const {
  return gpa_range::is_aligned(gpn.value(), kPagesPerLargePage) &&
         gpa_range::contains_element(gpn.value(), std::uint64_t{0}, kPagesPerLargePage,
                                     page_count_);
}

bool GpaSpace::any_overlay_in_large_page(Gpn gpn) const {
  return overlays_.any_in(gpn, kPagesPerLargePage);
}

Status GpaSpace::map_large(Gpn gpn, const GpaMapping& mapping) {
  if (!large_range_is_valid(gpn) ||
      !gpa_range::is_aligned(mapping.page.value(), kPagesPerLargePage) || !mapping.legal()) {
    return Status::kInvalidParameter;
  }
  if (!any_overlay_in_large_page(gpn)) {
    // Where there is something to forget, the tables that the new entry needs exist.
    forget_large(gpn);
    const Status status = table_.map_large(gpn, mapping);
    if (status == Status::kSuccess) {
      ++figures_.large_pages;
      ++figures_.modifications;
      if (references_ != nullptr) {
        references_->add_large(mapping.page);
      }
    }
    return status;
  }
  if (mapping.no_overlay) {
    return Status::kObjectInUse;
  }
  GpaMapping part = mapping;
  for (std::uint64_t index = 0; index < kPagesPerLargePage; ++index) {
    const Status status = map(gpn + index, part);
    INVARIANT(status == Status::kSuccess);
    part.page = part.page + 1;
  }
  return Status::kSuccess;
}

Status GpaSpace::unmap(Gpn gpn) {
  if (!contains(gpn)) {
    return Status::kInvalidParameter;
  }
  if (const Overlay* const overlay = overlays_.visible_at(gpn)) {
    count_replaced(overlay->beneath, std::nullopt);
    overlays_.set_beneath(gpn, std::nullopt);
    ++figures_.modifications;
    return Status::kSuccess;
  }
  const Status status = table_.unmap(gpn);
  if (status == Status::kSuccess) {
    count_split();
    count_replaced(mapping_of(table_.last_change().replaced), std::nullopt);
    ++figures_.modifications;
  }
  return status;
}

Status GpaSpace::unmap_large(Gpn gpn) {
  if (!large_range_is_valid(gpn)) {
    return Status::kInvalidParameter;
  }
  if (!any_overlay_in_large_page(gpn)) {
    forget_large(gpn);
    table_.unmap_large(gpn);
    ++figures_.modifications;
    return Status::kSuccess;
  }
  // An overlay is shown by an entry of 4 KiB, so the table exists and no page needs splitting.
  for (std::uint64_t index = 0; index < kPagesPerLargePage; ++index) {
    const Status status = unmap(gpn + index);
    INVARIANT(status == Status::kSuccess);
  }
  return Status::kSuccess;
}

bool GpaSpace::is_mapped(Gpn gpn) const { return lookup_beneath_overlays(gpn).has_value(); }

Status GpaSpace::change_rights(Gpn gpn, GpaRights rights, const GpaNoteChange& notes) {
  if (!contains(gpn) || !rights.legal()) {
    return Status::kInvalidParameter;
  }
  std::optional<GpaMapping> mapping = lookup_beneath_overlays(gpn);
  if (!mapping) {
    return Status::kOperationDenied;
  }
  mapping->rights = rights;
  if (!mapping->legal()) {
    return Status::kInvalidParameter;
  }
  const std::uint64_t cleared = EptEntry::cleared_by(notes);
  const std::uint64_t set = EptEntry::note_bits(notes.set);
  if (is_overlaid(gpn)) {
    mapping->notes = EptEntry(EptEntry::note_bits(mapping->notes)).with(cleared, set).notes();
    overlays_.set_beneath(gpn, mapping);
  } else {
    if (const Status status = make_small(gpn); status != Status::kSuccess) {
      return status;
    }
    table_.modify(gpn, EptEntry::kRightsMask | cleared, rights.bits() | set);
  }
  ++figures_.modifications;
  return Status::kSuccess;
}

Status GpaSpace::change_rights_large(Gpn gpn, GpaRights rights, const GpaNoteChange& notes) {
  if (!large_range_is_valid(gpn) || !rights.legal()) {
    return Status::kInvalidParameter;
  }
  if (std::optional<GpaMapping> whole = lookup_large(gpn)) {
    whole->rights = rights;
    if (!whole->legal()) {
      return Status::kInvalidParameter;
    }
    table_.modify(gpn, EptEntry::kRightsMask | EptEntry::cleared_by(notes),
                  rights.bits() | EptEntry::note_bits(notes.set));
    ++figures_.modifications;
    return Status::kSuccess;
  }
  for (std::uint64_t index = 0; index < kPagesPerLargePage; ++index) {
    std::optional<GpaMapping> mapping = lookup_beneath_overlays(gpn + index);
    if (!mapping) {
      return Status::kOperationDenied;
    }
    mapping->rights = rights;
    if (!mapping->legal()) {
      return Status::kInvalidParameter;
    }
  }
  for (std::uint64_t index = 0; index < kPagesPerLargePage; ++index) {
    const Status status = change_rights(gpn + index, rights, notes);
    INVARIANT(status == Status::kSuccess);  // nothing is left to split
  }
  return Status::kSuccess;
}

std::expected<GpaNotes, Status> GpaSpace::exchange_notes(Gpn gpn, const GpaNoteChange& change) {
  if (!contains(gpn)) {
    return std::unexpected(Status::kInvalidParameter);
  }
  std::optional<GpaMapping> mapping = lookup_beneath_overlays(gpn);
  if (!mapping) {
    return GpaNotes{};
  }
  const GpaNotes before = mapping->notes;
  const std::uint64_t cleared = EptEntry::cleared_by(change);
  const std::uint64_t set = EptEntry::note_bits(change.set);
  mapping->notes = EptEntry(EptEntry::note_bits(before)).with(cleared, set).notes();
  if (is_overlaid(gpn)) {
    overlays_.set_beneath(gpn, mapping);
    return before;
  }
  if (mapping->notes == before) {
    return before;
  }
  if (const Status status = make_small(gpn); status != Status::kSuccess) {
    return std::unexpected(status);
  }
  return table_.modify(gpn, cleared, set).notes();
}

void GpaSpace::note_access(Gpn gpn, bool write) {
  if (tracking_ && table_.lookup(gpn)) {
    table_.modify(gpn, 0, EptEntry::note_bits({.accessed = true, .dirty = write}));
  }
}

Status GpaSpace::reserve_overlays(std::uint32_t total) { return overlays_.reserve(total); }

Status GpaSpace::show_overlay(OverlayId id, Gpn gpn, Spn page, GpaRights rights) {
  if (!contains(gpn) || !rights.legal()) {
    return Status::kInvalidParameter;
  }
  const GpaMapping shown{page, rights, GpaCaching::kWriteBack};
  Overlay* overlay = overlays_.find(id);
  if (overlay != nullptr && overlay->gpn == gpn) {
    overlay->shown = shown;
    write_entry(gpn, overlays_.visible_at(gpn)->shown);
    return Status::kSuccess;
  }
  if (overlay == nullptr && !overlays_.has_room()) {
    return Status::kInsufficientMemory;
  }
  if (const auto mapping = lookup_beneath_overlays(gpn); mapping && mapping->no_overlay) {
    return Status::kInvalidParameter;
  }
  // The last thing that may fail: afterwards the entry at the new place needs no memory.
  if (const Status status = table_.prepare(gpn); status != Status::kSuccess) {
    return status;
  }
  count_split();
  const bool first_here = !is_overlaid(gpn);
  const std::optional<GpaMapping> beneath = lookup_beneath_overlays(gpn);
  const std::optional<Overlay> before = overlay != nullptr ? std::optional(*overlay) : std::nullopt;
  if (overlay != nullptr) {
    overlays_.remove(*overlay);
  }
  overlays_.add(id, gpn, shown, beneath);
  write_entry(gpn, shown);
  if (first_here) {
    // With all that was noted until the page was hidden.
    overlays_.set_beneath(gpn, mapping_of(table_.last_change().replaced));
  }
  if (before) {
    uncover(*before);
  }
  return Status::kSuccess;
}

void GpaSpace::hide_overlay(OverlayId id) {
  Overlay* const overlay = overlays_.find(id);
  if (overlay != nullptr) {
    const Overlay before = *overlay;
    overlays_.remove(*overlay);
    uncover(before);
  }
}

/// Shows what an overlay that was just removed has hidden: the next overlay, what is mapped there,
/// or nothing.
void GpaSpace::uncover(const Overlay& overlay) {
  const Overlay* const next = overlays_.visible_at(overlay.gpn);
  write_entry(overlay.gpn, next != nullptr ? std::optional(next->shown) : overlay.beneath);
}

/// Writes an entry of 4 KiB whose table exists, so that no memory is needed.
void GpaSpace::write_entry(Gpn gpn, const std::optional<GpaMapping>& mapping) {
  const Status status = mapping ? table_.map(gpn, *mapping) : table_.unmap(gpn);
  INVARIANT(status == Status::kSuccess);
}

std::optional<Gpn> GpaSpace::overlay_place(OverlayId id) const {
  const Overlay* const overlay = overlays_.find(id);
  return overlay != nullptr ? std::optional(overlay->gpn) : std::nullopt;
}

void GpaSpace::hide_all_overlays() {
  while (const Overlay* const overlay = overlays_.any()) {
    hide_overlay(overlay->id);
  }
}

void GpaSpace::hide_own_overlays() {
  for (const Overlay* overlay = overlays_.any(); overlay != nullptr;) {
    const Overlay* const next = overlay->next;
    const OverlayKind kind = overlay->id.kind;
    if (kind != OverlayKind::kMonitorOfPort && kind != OverlayKind::kMonitorOfConnection) {
      hide_overlay(overlay->id);
    }
    overlay = next;
  }
}

std::optional<OverlayKind> GpaSpace::overlay_at(Gpn gpn) const {
  const Overlay* const overlay = overlays_.visible_at(gpn);
  return overlay != nullptr ? std::optional(overlay->id.kind) : std::nullopt;
}

/// No page counts as mapped here any more. What overlays hide comes back first, so that the tables
/// say everything.
void GpaSpace::forget_everything() {
  hide_all_overlays();
  table_.for_each_leaf([this](const EptEntry& leaf, bool large) {
    if (large) {
      --figures_.large_pages;
      references_->remove_large(leaf.page());
    } else {
      count_replaced(leaf.mapping(), std::nullopt);
    }
  });
}

void GpaSpace::destroy() {
  if (references_ != nullptr) {
    forget_everything();
  }
  overlays_.destroy();
  table_.destroy();
}

}  // namespace hv
