// Starting an image: the state of a virtual processor at its entry (machine/image.h).
#pragma once

#include <cstdint>

#include "machine/image.h"

namespace hv {

/// Whether the header is one of an image whose parts lie inside of it.
[[nodiscard]] bool is_image(const machine::ImageHeader& header);

/// Puts the loaded virtual processor into 64-bit mode at the image's entry, with the stack of
/// processor number `processor`.
void point_at_image(const machine::ImageHeader& header, std::uint32_t processor);

}  // namespace hv
