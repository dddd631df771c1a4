// The register page: registers of a VP that waits for its parent, where the parent reaches them
// without a call (TLFS HvCallMapVpStatePage).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/register_values.h"

namespace hv {

struct RegisterPage {
  static constexpr std::uint16_t kVersion = 1;
  // Bits of `dirty`.
  static constexpr std::uint32_t kDirtyGeneral = 1u << 0;
  static constexpr std::uint32_t kDirtyRip = 1u << 1;
  static constexpr std::uint32_t kDirtyXmm = 1u << 2;
  static constexpr std::uint32_t kDirtySegments = 1u << 3;
  static constexpr std::uint32_t kDirtyRflags = 1u << 4;

  std::uint16_t version = kVersion;
  std::uint8_t is_valid = 0;
  std::uint8_t vtl = 0;
  std::uint32_t dirty = 0;
  /// In the numbering of the instruction set.
  std::array<std::uint64_t, 16> general{};
  std::uint64_t rip = 0;
  std::uint64_t rflags = 0;
  std::uint64_t reserved0 = 0;
  std::array<RegisterValue, 6> xmm{};
  /// ES, CS, SS, DS, FS, GS.
  std::array<SegmentRegister, 6> segments{};
  // Read-only from here on.
  std::uint64_t cr0 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t cr8 = 0;
  std::uint64_t efer = 0;
  std::uint64_t dr7 = 0;
  std::uint64_t pending_interruption = 0;
  std::uint64_t interrupt_state = 0;
  std::uint64_t instruction_emulation_hints = 0;
  std::uint64_t xfem = 0;
};
static_assert(sizeof(RegisterPage) == 432);
static_assert(offsetof(RegisterPage, dirty) == 4);
static_assert(offsetof(RegisterPage, general) == 8);
static_assert(offsetof(RegisterPage, rip) == 136);
static_assert(offsetof(RegisterPage, rflags) == 144);
static_assert(offsetof(RegisterPage, xmm) == 160);
static_assert(offsetof(RegisterPage, segments) == 256);
static_assert(offsetof(RegisterPage, cr0) == 352);
static_assert(offsetof(RegisterPage, dr7) == 392);
static_assert(offsetof(RegisterPage, pending_interruption) == 400);
static_assert(offsetof(RegisterPage, xfem) == 424);

/// Vectors that the root adds for a VP that it dispatches itself: a count, and up to seven.
inline constexpr std::uint64_t kRegisterPageVectorsOffset = 688;

}  // namespace hv
