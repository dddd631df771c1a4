// The reference TSC page (TLFS "Partition Reference TSC Mechanism").
#pragma once

#include <cstddef>
#include <cstdint>

namespace hv {

/// The head of the page that the REFERENCE_TSC MSR overlays. Time in 100 ns units is the upper half
/// of tsc * scale, plus offset. A reader takes sequence before and after and starts again if it
/// changed; 0 says that the page is not valid and the TIME_REF_COUNT MSR must be read.
struct ReferenceTscPage {
  std::uint32_t sequence = 0;
  std::uint32_t reserved = 0;
  std::uint64_t scale = 0;
  std::int64_t offset = 0;
};
static_assert(sizeof(ReferenceTscPage) == 24);
static_assert(offsetof(ReferenceTscPage, scale) == 8);
static_assert(offsetof(ReferenceTscPage, offset) == 16);

inline constexpr std::uint32_t kReferenceTscSequenceInvalid = 0;
/// Never written: some readers take it for invalid, too.
inline constexpr std::uint32_t kReferenceTscSequenceReserved = 0xFFFF'FFFF;
inline constexpr std::uint64_t kReferenceTimeFrequencyHz = 10'000'000;

}  // namespace hv
