// What a parent answers before it is asked (TLFS HvCallRegisterInterceptResult).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/intercepts.h"
#include "hv/tlfs/partition.h"

namespace hv {

/// Of type X64Cpuid: the bits of a leaf that a mask names are the parent's.
struct CpuidResultParameters {
  std::uint32_t leaf = 0;
  std::uint32_t subleaf = 0;
  /// 1: for this subleaf alone.
  std::uint8_t subleaf_specific = 0;
  /// 1: whether or not the leaf is intercepted; 0: in place of the intercept.
  std::uint8_t always_override = 0;
  std::uint16_t reserved = 0;
  std::uint32_t eax = 0;
  std::uint32_t eax_mask = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ebx_mask = 0;
  std::uint32_t ecx = 0;
  std::uint32_t ecx_mask = 0;
  std::uint32_t edx = 0;
  std::uint32_t edx_mask = 0;

  [[nodiscard]] constexpr bool is_for_same(const CpuidResultParameters& other) const {
    return leaf == other.leaf && subleaf_specific == other.subleaf_specific &&
           (subleaf_specific == 0 || subleaf == other.subleaf);
  }
  [[nodiscard]] constexpr bool is_legal() const {
    return subleaf_specific <= 1 && always_override <= 1 && reserved == 0;
  }
};
static_assert(sizeof(CpuidResultParameters) == 44);
static_assert(offsetof(CpuidResultParameters, subleaf_specific) == 8);
static_assert(offsetof(CpuidResultParameters, eax) == 12);

/// Of types X64Msr and X64MsrIndex: an MSR that nobody has.
struct MsrResultParameters {
  static constexpr std::uint32_t kAccessRead = 1;
  static constexpr std::uint32_t kAccessWrite = 2;

  std::uint32_t msr = 0;
  std::uint32_t access = 0;
  /// As the property UnimplementedMsrAction.
  std::uint32_t action = 0;

  [[nodiscard]] constexpr bool is_legal() const {
    return access != 0 && (access & ~(kAccessRead | kAccessWrite)) == 0 &&
           action <= kUnimplementedMsrIgnore;
  }
};
static_assert(sizeof(MsrResultParameters) == 12);

/// RegisterInterceptResult and UnregisterInterceptResult.
struct InterceptResultInput {
  PartitionId partition{};
  VpIndex vp{};
  InterceptType type{};
  /// CpuidResultParameters or MsrResultParameters.
  std::array<std::uint32_t, sizeof(CpuidResultParameters) / 4> parameters{};
  std::uint32_t padding = 0;
};
static_assert(sizeof(InterceptResultInput) == 64);
static_assert(offsetof(InterceptResultInput, parameters) == 16);

}  // namespace hv
