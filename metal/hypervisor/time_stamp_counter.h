#pragma once

#include <cstdint>

namespace metal {

/// How fast the time-stamp counter counts, measured over 50 ms of the PIT.
[[nodiscard]] std::uint64_t measure_tsc_frequency_hz();

}  // namespace metal
