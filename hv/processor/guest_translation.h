// A guest's virtual addresses, by its own page tables and then by its GPA space: for its parent's
// translation calls, and to fetch the instruction that an intercept is about.
//
// The virtual processor is loaded here. Everything takes the partition's GPA space lock for each
// entry and gives it back: the guest may change its tables meanwhile, as it may under a processor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "hv/memory/page_walk.h"
#include "hv/tlfs/translation.h"
#include "machine/address.h"

namespace hv {

class VirtualProcessor;

[[nodiscard]] PagingState read_paging_state();

/// Walks the guest's tables, again if they change under the walk; nothing if they never rest.
[[nodiscard]] std::optional<PageWalk> walk_guest_tables(VirtualProcessor& vp, std::uint64_t gva,
                                                        const WalkAccess& access);

struct Translation {
  TranslateCode code = TranslateCode::kSuccess;
  std::uint8_t cache_type = 0;
  bool overlay = false;
  machine::Gpn gpn;

  [[nodiscard]] constexpr std::uint64_t result() const {
    return static_cast<std::uint64_t>(code) |
           (static_cast<std::uint64_t>(cache_type) << kTranslateCacheTypeShift) |
           (overlay ? kTranslateOverlayPage : 0);
  }
};

/// What HvCallTranslateVirtualAddress answers for legal flags; nothing if the guest's tables never
/// rest.
[[nodiscard]] std::optional<Translation> translate_guest_address(VirtualProcessor& vp,
                                                                 std::uint64_t gva,
                                                                 std::uint64_t flags);

inline constexpr std::size_t kMaxInstructionBytes = 16;

struct InstructionBytes {
  std::uint8_t count = 0;
  std::array<std::uint8_t, kMaxInstructionBytes> bytes{};
};

/// What lies at RIP, up to the end of its page; none if the guest could not execute there.
[[nodiscard]] InstructionBytes fetch_instruction(VirtualProcessor& vp);

}  // namespace hv
