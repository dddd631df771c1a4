#include "hv/memory/gpa_space.h"

#include "machine/invariant.h"

namespace hv {

using machine::Gpn;
using machine::Spn;

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

std::optional<GpaMapping> GpaSpace::lookup_beneath_overlays(Gpn gpn) const {
  const Overlay* const overlay = overlays_.visible_at(gpn);
  return overlay != nullptr ? overlay->beneath : lookup(gpn);
}

bool GpaSpace::is_overlaid(Gpn gpn) const { return overlays_.visible_at(gpn) != nullptr; }

Status GpaSpace::map(Gpn gpn, const GpaMapping& mapping) {
  if (!contains(gpn) || !mapping.rights.legal()) {
    return Status::kInvalidParameter;
  }
  if (const Overlay* const overlay = overlays_.visible_at(gpn)) {
    count_replaced(overlay->beneath, mapping);
    overlays_.set_beneath(gpn, mapping);
    return Status::kSuccess;
  }
  if (references_ == nullptr) {
    return table_.map(gpn, mapping);
  }
  if (const Status status = make_small(gpn); status != Status::kSuccess) {
    return status;
  }
  const std::optional<GpaMapping> before = table_.lookup(gpn);
  const Status status = table_.map(gpn, mapping);
  if (status == Status::kSuccess) {
    count_replaced(before, mapping);
  }
  return status;
}

void GpaSpace::count_replaced(const std::optional<GpaMapping>& before,
                              const std::optional<GpaMapping>& after) {
  if (references_ != nullptr) {
    references_->replace(before ? std::optional(before->page) : std::nullopt,
                         after ? std::optional(after->page) : std::nullopt);
  }
}

/// Splits the large page around `gpn`, if there is one.
Status GpaSpace::make_small(Gpn gpn) {
  if (!table_.is_large(gpn)) {
    return Status::kSuccess;
  }
  const Status status = table_.prepare(gpn);
  if (status == Status::kSuccess && references_ != nullptr) {
    const Gpn first(gpn.value() / kPagesPerLargePage * kPagesPerLargePage);
    references_->split_large(table_.lookup(first)->page);
  }
  return status;
}

/// What the tables say in the 512 pages from `gpn` is about to go.
void GpaSpace::forget_large(Gpn gpn) {
  if (references_ == nullptr) {
    return;
  }
  if (table_.is_large(gpn)) {
    references_->remove_large(table_.lookup(gpn)->page);
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
  return gpn.value() % kPagesPerLargePage == 0 && contains(gpn) &&
         page_count_ - gpn.value() >= kPagesPerLargePage;
}

bool GpaSpace::any_overlay_in_large_page(Gpn gpn) const {
  return overlays_.any_in(gpn, kPagesPerLargePage);
}

Status GpaSpace::map_large(Gpn gpn, const GpaMapping& mapping) {
  if (!large_range_is_valid(gpn) || mapping.page.value() % kPagesPerLargePage != 0 ||
      !mapping.rights.legal()) {
    return Status::kInvalidParameter;
  }
  if (!any_overlay_in_large_page(gpn)) {
    // Where there is something to forget, the tables that the new entry needs exist.
    forget_large(gpn);
    const Status status = table_.map_large(gpn, mapping);
    if (status == Status::kSuccess && references_ != nullptr) {
      references_->add_large(mapping.page);
    }
    return status;
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
    return Status::kSuccess;
  }
  if (const Status status = make_small(gpn); status != Status::kSuccess) {
    return status;
  }
  const std::optional<GpaMapping> before =
      references_ != nullptr ? table_.lookup(gpn) : std::nullopt;
  const Status status = table_.unmap(gpn);
  INVARIANT(status == Status::kSuccess);
  count_replaced(before, std::nullopt);
  return Status::kSuccess;
}

Status GpaSpace::unmap_large(Gpn gpn) {
  if (!large_range_is_valid(gpn)) {
    return Status::kInvalidParameter;
  }
  if (!any_overlay_in_large_page(gpn)) {
    forget_large(gpn);
    table_.unmap_large(gpn);
    return Status::kSuccess;
  }
  // An overlay is shown by an entry of 4 KiB, so the table exists and no page needs splitting.
  for (std::uint64_t index = 0; index < kPagesPerLargePage; ++index) {
    const Status status = unmap(gpn + index);
    INVARIANT(status == Status::kSuccess);
  }
  return Status::kSuccess;
}

Status GpaSpace::change_rights(Gpn gpn, GpaRights rights) {
  if (!contains(gpn) || !rights.legal()) {
    return Status::kInvalidParameter;
  }
  std::optional<GpaMapping> mapping = lookup_beneath_overlays(gpn);
  if (!mapping) {
    return Status::kOperationDenied;
  }
  mapping->rights = rights;
  return map(gpn, *mapping);
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
  // The last things that may fail: afterwards the entry at the new place needs no memory.
  if (const Status status = make_small(gpn); status != Status::kSuccess) {
    return status;
  }
  if (const Status status = table_.prepare(gpn); status != Status::kSuccess) {
    return status;
  }
  const std::optional<GpaMapping> beneath = lookup_beneath_overlays(gpn);
  if (overlay == nullptr) {
    overlays_.add(id, gpn, shown, beneath);
    write_entry(gpn, shown);
    return Status::kSuccess;
  }
  const Overlay before = *overlay;
  overlays_.remove(*overlay);
  overlays_.add(id, gpn, shown, beneath);
  write_entry(gpn, shown);
  uncover(before);
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

/// No page counts as mapped here any more. What overlays hide comes back first, so that the tables
/// say everything.
void GpaSpace::forget_everything() {
  while (const Overlay* const overlay = overlays_.any()) {
    hide_overlay(overlay->id);
  }
  table_.for_each_leaf([this](const EptEntry& leaf, bool large) {
    if (large) {
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
