// The interrupt vectors of a kernel.
#pragma once

#include <cstdint>

namespace kernel {

/// 16 inputs of the legacy interrupt controllers (root only).
inline constexpr std::uint8_t kVectorLegacy = 0x20;
/// SINT n.
inline constexpr std::uint8_t kVectorSint = 0x30;
inline constexpr std::uint8_t kVectorTimer = 0x40;
/// Another processor queued work.
inline constexpr std::uint8_t kVectorWake = 0x41;
inline constexpr std::uint8_t kVectorPeriodicTimer = 0x42;
/// The interrupt that the root injects where a child asked for one.
inline constexpr std::uint8_t kVectorInjected = 0x50;

}  // namespace kernel
