#include "hv/memory/overlay_table.h"

#include <array>
#include <memory>

#include "machine/invariant.h"
#include "machine/vmx_root.h"

namespace hv {

struct OverlayTable::Page {
  static constexpr std::size_t kOverlays = (machine::kPageSize - 16) / sizeof(Overlay);
  Page* next = nullptr;
  machine::Spn place;
  std::array<Overlay, kOverlays> overlays{};
};

bool OverlayTable::grow() {
  static_assert(sizeof(Page) <= machine::kPageSize);
  const std::optional<machine::Spn> place = pool_->take();
  if (!place) {
    return false;
  }
  Page* const page = std::construct_at(reinterpret_cast<Page*>(machine::direct_map(*place)));
  page->place = *place;
  page->next = pages_;
  pages_ = page;
  for (Overlay& overlay : page->overlays) {
    overlay.next = free_;
    free_ = &overlay;
  }
  room_ += static_cast<std::uint32_t>(Page::kOverlays);
  return true;
}

Status OverlayTable::reserve(std::uint32_t total) {
  while (room_ < total) {
    if (!grow()) {
      return Status::kInsufficientMemory;
    }
  }
  return Status::kSuccess;
}

const Overlay* OverlayTable::find(OverlayId id) const {
  const Overlay* overlay = shown_;
  while (overlay != nullptr && !(overlay->id == id)) {
    overlay = overlay->next;
  }
  return overlay;
}

Overlay* OverlayTable::find(OverlayId id) {
  Overlay* overlay = shown_;
  while (overlay != nullptr && !(overlay->id == id)) {
    overlay = overlay->next;
  }
  return overlay;
}

const Overlay* OverlayTable::visible_at(machine::Gpn gpn) const {
  const Overlay* visible = nullptr;
  for (const Overlay* overlay = shown_; overlay != nullptr; overlay = overlay->next) {
    if (overlay->gpn == gpn && (visible == nullptr || overlay->age > visible->age)) {
      visible = overlay;
    }
  }
  return visible;
}

bool OverlayTable::any_in(machine::Gpn first, std::uint64_t page_count) const {
  for (const Overlay* overlay = shown_; overlay != nullptr; overlay = overlay->next) {
    if (overlay->gpn >= first && overlay->gpn.value() - first.value() < page_count) {
      return true;
    }
  }
  return false;
}

void OverlayTable::set_beneath(machine::Gpn gpn, const std::optional<GpaMapping>& beneath) {
  for (Overlay* overlay = shown_; overlay != nullptr; overlay = overlay->next) {
    if (overlay->gpn == gpn) {
      overlay->beneath = beneath;
    }
  }
}

bool OverlayTable::has_room() { return free_ != nullptr || grow(); }

void OverlayTable::add(OverlayId id, machine::Gpn gpn, const GpaMapping& shown,
                       const std::optional<GpaMapping>& beneath) {
  INVARIANT(find(id) == nullptr && free_ != nullptr);
  Overlay* const overlay = free_;
  free_ = overlay->next;
  *overlay = Overlay{id, gpn, shown, beneath, ++last_age_, shown_};
  shown_ = overlay;
}

void OverlayTable::remove(Overlay& overlay) {
  Overlay** link = &shown_;
  while (*link != &overlay) {
    INVARIANT(*link != nullptr);
    link = &(*link)->next;
  }
  *link = overlay.next;
  overlay = Overlay{};
  overlay.next = free_;
  free_ = &overlay;
}

void OverlayTable::destroy() {
  while (pages_ != nullptr) {
    const machine::Spn place = pages_->place;
    pages_ = pages_->next;
    pool_->give(place);
  }
  shown_ = nullptr;
  free_ = nullptr;
  room_ = 0;
}

}  // namespace hv
