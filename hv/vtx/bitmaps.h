// The I/O and MSR bitmaps that virtual processors share (SDM vol. 3 24.6.4, 24.6.9).
#pragma once

#include "machine/address.h"

namespace hv::vtx {

/// Every port exits: a child's bitmaps.
void fill_io_bitmaps_intercepting(machine::Spa bitmap_a, machine::Spa bitmap_b);
/// No port exits: the root owns the devices.
void fill_io_bitmaps_passing(machine::Spa bitmap_a, machine::Spa bitmap_b);
/// Every MSR exits but those that the processor switches with the VMCS and that cannot hurt anyone
/// else (FS and GS base, SYSENTER), and what SWAPGS changes without an exit anyway.
void fill_msr_bitmap(machine::Spa bitmap);

}  // namespace hv::vtx
