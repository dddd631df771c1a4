// The flags of the map calls, checked and told apart (TLFS HV_MAP_GPA_FLAGS). Pure.
#pragma once

#include <cstdint>
#include <expected>

#include "hv/memory/gpa_rights.h"
#include "hv/tlfs/hypercall_memory.h"
#include "hv/tlfs/status.h"

namespace hv::calls {

/// What lies behind the pages that a call maps.
enum class MapBacking : std::uint8_t { kSource, kZeros, kOnes };

struct MapRequest {
  GpaRights rights;
  MapBacking backing = MapBacking::kSource;
  bool uncached = false;
  bool no_overlay = false;
  bool large = false;
  GpaNoteChange notes{};

  [[nodiscard]] constexpr bool only_changes_rights() const {
    return backing == MapBacking::kSource && !uncached && !no_overlay;
  }
};

inline constexpr std::uint32_t kKnownMapFlags = kMapRightsMask | kMapAdjustable | kMapSpecialMask |
                                                kMapNoOverlay | kMapUncached | kMapNotesMask |
                                                kMapLeaveRangeUnaccessed | kMapLargePage;

/// Notes to forget and to make; one is not both.
[[nodiscard]] constexpr std::expected<GpaNoteChange, Status> make_note_change(GpaNotes clear,
                                                                              GpaNotes set) {
  if ((clear.accessed && set.accessed) || (clear.dirty && set.dirty)) {
    return std::unexpected(Status::kInvalidParameter);
  }
  return GpaNoteChange{clear, set};
}

/// A processor here does not tell kernel from user execution: what a kernel may execute everybody
/// may, as it was when the interface knew one execute right, and user execution alone cannot be
/// had. "Adjustable" is about virtual trust levels, and "leave range unaccessed" about notes that
/// mapping does not make: both ask for nothing. kInvalidParameter.
[[nodiscard]] constexpr std::expected<MapRequest, Status> decode_map_flags(std::uint32_t flags) {
  const bool user_execute = (flags & kMapUserExecute) != 0;
  const bool kernel_execute = (flags & kMapKernelExecute) != 0;
  const auto notes =
      make_note_change({(flags & kMapClearAccessed) != 0, (flags & kMapClearDirty) != 0},
                       {(flags & kMapSetAccessed) != 0, (flags & kMapSetDirty) != 0});
  if ((flags & ~kKnownMapFlags) != 0 || (user_execute && !kernel_execute) || !notes) {
    return std::unexpected(Status::kInvalidParameter);
  }
  MapRequest request;
  request.rights =
      GpaRights(static_cast<std::uint8_t>(((flags & kMapRead) != 0 ? GpaRights::kReadBit : 0) |
                                          ((flags & kMapWrite) != 0 ? GpaRights::kWriteBit : 0) |
                                          (kernel_execute ? GpaRights::kExecuteBit : 0)));
  request.uncached = (flags & kMapUncached) != 0;
  request.no_overlay = (flags & kMapNoOverlay) != 0;
  request.large = (flags & kMapLargePage) != 0;
  request.notes = *notes;
  bool legal = request.rights.legal();
  switch (flags & kMapSpecialMask) {
    case kMapNoAccess:
      legal = request.rights == GpaRights::none();
      break;
    case kMapZeroPage:
    case kMapOnesPage:
      request.backing =
          (flags & kMapSpecialMask) == kMapZeroPage ? MapBacking::kZeros : MapBacking::kOnes;
      // There is one such page, and nobody writes to it. Without rights it may be read.
      legal = legal && !request.rights.can_write() && !request.large && !request.uncached;
      if (request.rights == GpaRights::none()) {
        request.rights = GpaRights::read_execute();
      }
      break;
    default:
      break;
  }
  if (!legal) {
    return std::unexpected(Status::kInvalidParameter);
  }
  return request;
}

/// The flags of GetGpaPagesAccessStates. kInvalidParameter.
[[nodiscard]] constexpr std::expected<GpaNoteChange, Status> decode_access_state_flags(
    std::uint64_t flags) {
  using Input = GetGpaPagesAccessStatesInput;
  constexpr std::uint64_t kKnown =
      Input::kClearAccessed | Input::kSetAccessed | Input::kClearDirty | Input::kSetDirty;
  if ((flags & ~kKnown) != 0) {
    return std::unexpected(Status::kInvalidParameter);
  }
  return make_note_change({(flags & Input::kClearAccessed) != 0, (flags & Input::kClearDirty) != 0},
                          {(flags & Input::kSetAccessed) != 0, (flags & Input::kSetDirty) != 0});
}

}  // namespace hv::calls
