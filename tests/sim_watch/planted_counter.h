// Hypervisors of two processors that share a counter in plain memory. Their source is compiled with
// -fsanitize=thread, as the code above the seam is in a build that watches plain memory.
#pragma once

#include <cstdint>

#include "machine/boot.h"

namespace planted {

/// Nothing guards the counter.
void boot_unguarded(const machine::BootInformation& information, std::uint32_t lp);
/// A lock guards it.
void boot_guarded(const machine::BootInformation& information, std::uint32_t lp);
/// Each processor copies a structure that the other writes.
void boot_copying(const machine::BootInformation& information, std::uint32_t lp);

}  // namespace planted
