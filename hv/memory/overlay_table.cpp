#include "hv/memory/overlay_table.h"

#include "machine/invariant.h"

namespace hv {

Status OverlayTable::reserve(std::uint32_t total) {
  return records_.reserve(total) ? Status::kSuccess : Status::kInsufficientMemory;
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

void OverlayTable::add(OverlayId id, machine::Gpn gpn, const GpaMapping& shown,
                       const std::optional<GpaMapping>& beneath) {
  INVARIANT(find(id) == nullptr);
  Overlay& overlay = records_.make();
  overlay = Overlay{id, gpn, shown, beneath, ++last_age_, shown_};
  shown_ = &overlay;
}

void OverlayTable::remove(Overlay& overlay) {
  Overlay** link = &shown_;
  while (*link != &overlay) {
    INVARIANT(*link != nullptr);
    link = &(*link)->next;
  }
  *link = overlay.next;
  records_.end(overlay);
}

void OverlayTable::destroy() {
  shown_ = nullptr;
  records_.destroy();
}

}  // namespace hv
