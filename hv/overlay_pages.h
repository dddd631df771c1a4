// Pages of the hypervisor that a partition sees at a place it chose (TLFS "Overlay Pages").
#pragma once

#include "hv/memory/gpa_rights.h"
#include "hv/memory/overlay_table.h"
#include "hv/tlfs/msr.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"

namespace hv {

class Hypervisor;
class Partition;

/// Shows `page` where the register says, moves it there, or hides it. Under the management lock, in
/// which the register changes, too, if more than one processor can write it: page and register
/// never say different things. A place outside of the space hides it, too, but the hypercall page
/// is not put there: kInvalidParameter. That, and kInsufficientMemory: nothing changed.
[[nodiscard]] Status place_overlay(Hypervisor& hypervisor, Partition& partition, OverlayId id,
                                   OverlayPageRegister where, machine::Spn page, GpaRights rights);

}  // namespace hv
