// How a guest's virtual address is translated for its parent (TLFS HvCallTranslateVirtualAddress).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "machine/address.h"

namespace hv {

// Flags of the call; 63:56 is the VTL.
inline constexpr std::uint64_t kTranslateValidateRead = 1u << 0;
inline constexpr std::uint64_t kTranslateValidateWrite = 1u << 1;
inline constexpr std::uint64_t kTranslateValidateExecute = 1u << 2;
inline constexpr std::uint64_t kTranslatePrivilegeExempt = 1u << 3;
inline constexpr std::uint64_t kTranslateSetPageTableBits = 1u << 4;
inline constexpr std::uint64_t kTranslateTlbFlushInhibit = 1u << 5;
inline constexpr std::uint64_t kTranslateAsSupervisor = 1u << 6;
inline constexpr std::uint64_t kTranslateAsUser = 1u << 7;
inline constexpr std::uint64_t kTranslateEnforceSmap = 1u << 8;
inline constexpr std::uint64_t kTranslateOverrideSmap = 1u << 9;
inline constexpr std::uint64_t kTranslateShadowStack = 1u << 10;
inline constexpr std::uint64_t kTranslateFlagMask = 0x7FF;

/// What came of it; the call itself succeeds whatever it is.
enum class TranslateCode : std::uint32_t {
  kSuccess = 0,
  kPageNotPresent = 1,
  kPrivilegeViolation = 2,
  kInvalidPageTableFlags = 3,
  kGpaUnmapped = 4,
  kGpaNoReadAccess = 5,
  kGpaNoWriteAccess = 6,
  kGpaIllegalOverlayAccess = 7,
  kIntercept = 8,
  kGpaUnaccepted = 9,
};

// The result: 31:0 TranslateCode, 39:32 cache type, 40 overlay page.
inline constexpr unsigned kTranslateCacheTypeShift = 32;
inline constexpr std::uint64_t kTranslateOverlayPage = 1ull << 40;

inline constexpr std::uint8_t kCacheTypeUncached = 0;
inline constexpr std::uint8_t kCacheTypeWriteCombining = 1;
inline constexpr std::uint8_t kCacheTypeWriteThrough = 4;
inline constexpr std::uint8_t kCacheTypeWriteProtected = 5;
inline constexpr std::uint8_t kCacheTypeWriteBack = 6;

struct TranslateVirtualAddressOutput {
  std::uint64_t result = 0;
  machine::Gpn gpn;
};
static_assert(sizeof(TranslateVirtualAddressOutput) == 16);
static_assert(offsetof(TranslateVirtualAddressOutput, gpn) == 8);

/// The answer of TranslateVirtualAddressEx: what the event that the access would have raised is
/// belongs to intercepts of higher trust levels, of which there are none.
struct TranslateVirtualAddressExOutput {
  std::uint64_t result = 0;
  std::array<std::uint64_t, 5> event{};
  machine::Gpn gpn;
  std::uint64_t reserved = 0;
};
static_assert(sizeof(TranslateVirtualAddressExOutput) == 64);
static_assert(offsetof(TranslateVirtualAddressExOutput, gpn) == 48);

}  // namespace hv
