// What a parent saves and restores of a VP as a whole: its local APIC, its extended registers, the
// pages of its SynIC, its synthetic timers (TLFS HvCallGetVpState).
//
// The VP is stopped. Pages are the caller's, held in place under its GPA space lock; each of their
// bytes is read once.
#pragma once

#include <cstdint>

#include "hv/tlfs/hypercall_state.h"
#include "hv/tlfs/timers.h"
#include "machine/address.h"

namespace hv {

class VirtualProcessor;

/// A state that lies in a page. `states` counts for kXsave only.
struct PageState {
  VpStateType type{};
  std::uint64_t states = 0;
};

/// Fills the page, zeros behind the state.
void save_to_page(VirtualProcessor& vp, const PageState& state, machine::Spa page);
/// False, with nothing changed: no VP can be in that state.
[[nodiscard]] bool restore_from_page(VirtualProcessor& vp, const PageState& state,
                                     machine::Spa page);

void save_timers(VirtualProcessor& vp, SyntheticTimersState& state);
/// As restore_from_page().
[[nodiscard]] bool restore_timers(VirtualProcessor& vp, const SyntheticTimersState& state);

}  // namespace hv
