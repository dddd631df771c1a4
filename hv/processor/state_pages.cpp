#include "hv/processor/state_pages.h"

#include <span>

#include "hv/gpa_changes.h"
#include "hv/hypervisor.h"
#include "hv/partition_life.h"
#include "hv/tlfs/register_page.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

using machine::Gpn;
using machine::Spn;

/// Tables around the place of an overlay.
constexpr std::size_t kMostTables = 3;

/// An overlay of the parent's, of which the page is a name.
OverlayId overlay_of(Spn page) {
  return {OverlayKind::kVpState, VpIndex{static_cast<std::uint32_t>(page.value())}};
}

/// Null for a type that there is not.
StatePage* find_page(VirtualProcessor& vp, VpStatePageType type) {
  switch (type) {
    case VpStatePageType::kRegisters:
      return &vp.records.register_page;
    case VpStatePageType::kInterceptMessage:
      return &vp.records.message_page;
    case VpStatePageType::kGhcb:
      return nullptr;
  }
  return nullptr;  // a guest chose the number
}

bool may_have(const Partition& partition, VpStatePageType type) {
  return type != VpStatePageType::kInterceptMessage ||
         (partition.creation_flags & kCreateInterceptMessagePage) != 0;
}

/// Nothing of the VP is in it yet.
void write_first(Spn page, VpStatePageType type) {
  if (type == VpStatePageType::kRegisters) {
    const RegisterPage empty;
    machine::write_memory(machine::Spa(page), std::as_bytes(std::span(&empty, 1)));
  }
}

/// Makes the parent see the page.
Status show(Partition& parent, Spn page, Gpn place) {
  const machine::LockGuard guard(parent.space_lock);
  GpaSpace& space = *parent.space;
  const std::uint32_t overlays = overlays_to_reserve(parent, parent.vps.count()) + 1;
  const std::size_t needed = space.pages_to_reserve_overlays(overlays) + kMostTables;
  if (parent.pool.available() < needed) {
    return Status::kNoResources;
  }
  INVARIANT(space.reserve_overlays(overlays) == Status::kSuccess);
  return space.show_overlay(overlay_of(page), place, page, GpaRights::read_write());
}

void unmap(Hypervisor& hypervisor, VirtualProcessor& vp, StatePage& state) {
  Partition& parent = *vp.partition.parent;
  const Spn page = state.page;
  {
    // Whoever fills it looks under that lock.
    const machine::LockGuard guard(hypervisor.communication_lock);
    state = {};
  }
  {
    const machine::LockGuard guard(parent.space_lock);
    parent.space->hide_overlay(overlay_of(page));
  }
  finish_space_changes(hypervisor, parent);
  --parent.state_pages_shown;
  vp.partition.pool.give(page);
}

}  // namespace

std::expected<Gpn, Status> map_state_page(Hypervisor& hypervisor, VirtualProcessor& vp,
                                          VpStatePageType type, std::optional<Gpn> place) {
  StatePage* const state = find_page(vp, type);
  if (state == nullptr) {
    return std::unexpected(Status::kInvalidParameter);
  }
  if (state->is_mapped() || !may_have(vp.partition, type)) {
    return std::unexpected(Status::kOperationDenied);
  }
  const std::optional<Spn> page = vp.partition.pool.take();
  if (!page) {
    return std::unexpected(Status::kInsufficientMemory);
  }
  write_first(*page, type);
  Partition& parent = *vp.partition.parent;
  const Gpn seen = place.value_or(Gpn(page->value()));
  if (const Status status = show(parent, *page, seen); status != Status::kSuccess) {
    vp.partition.pool.give(*page);
    return std::unexpected(status);
  }
  finish_space_changes(hypervisor, parent);
  ++parent.state_pages_shown;
  const machine::LockGuard guard(hypervisor.communication_lock);
  *state = {*page, seen};
  return seen;
}

Status unmap_state_page(Hypervisor& hypervisor, VirtualProcessor& vp, VpStatePageType type) {
  StatePage* const state = find_page(vp, type);
  if (state == nullptr) {
    return Status::kInvalidParameter;
  }
  if (!state->is_mapped()) {
    return Status::kOperationDenied;
  }
  unmap(hypervisor, vp, *state);
  return Status::kSuccess;
}

void unmap_state_pages(Hypervisor& hypervisor, VirtualProcessor& vp) {
  for (StatePage* state : {&vp.records.register_page, &vp.records.message_page}) {
    if (state->is_mapped()) {
      unmap(hypervisor, vp, *state);
    }
  }
}

}  // namespace hv
