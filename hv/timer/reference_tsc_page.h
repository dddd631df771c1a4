// Writing the reference TSC page that a partition's processors read at any moment.
#pragma once

#include <cstdint>

#include "machine/address.h"

namespace hv {

/// Publishes a scale and an offset in `page` by the sequence protocol (TLFS "Partition Reference
/// TSC Mechanism"): a reader sees the old pair, the new pair, or that it must look again. One
/// writer at a time. `previous` is the sequence that was valid last, whether or not it was
/// invalidated since; a reader that still has it looks again. Returns the one that is valid now.
[[nodiscard]] std::uint32_t publish_reference_tsc(machine::Spn page, std::uint32_t previous,
                                                  std::uint64_t scale, std::uint64_t offset);

/// Tells readers to use the TIME_REF_COUNT MSR.
void invalidate_reference_tsc(machine::Spn page);

}  // namespace hv
