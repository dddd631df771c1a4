// The root partition as the hypervisor builds it at boot: which memory it owns, what is in it, and
// the virtual processor that runs its image.
#pragma once

#include <array>
#include <cstdint>

#include "machine/address.h"
#include "machine/boot.h"

namespace hv {

class Hypervisor;
class Partition;

/// RAM, split between the root partition and the hypervisor's own pages at its top.
struct MemorySplit {
  std::array<machine::MemoryRange, machine::kMaxMemoryRanges> root{};
  std::uint32_t root_count = 0;
  /// Contiguous, the hypervisor's.
  machine::MemoryRange hypervisor;
  /// Where RAM below 4 GiB ends: above are devices.
  std::uint64_t low_ram_end = 0;
};

/// Takes a 64th of RAM, at least 4 MiB, from the top of the highest range that is large enough and
/// holds no boot module there. `hypervisor` is empty if there is no such range. Pure.
[[nodiscard]] MemorySplit split_memory(const machine::BootInformation& information);

/// Maps what the root owns at identity: its RAM, and the devices below 4 GiB uncached.
void map_root_memory(Partition& root, const MemorySplit& split);

/// Loads the image of module "root", writes its boot page, and points the VP, which is loaded here,
/// at its entry. False if there is no such module or it is not an image that fits.
[[nodiscard]] bool load_root_image(const machine::BootInformation& information,
                                   const MemorySplit& split);

}  // namespace hv
