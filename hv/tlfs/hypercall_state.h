// Pages of a virtual processor that its parent sees, and the state that it saves and restores as a
// whole (TLFS HvCallMapVpStatePage, HvCallGetVpState).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/partition.h"
#include "machine/address.h"

namespace hv {

enum class VpStatePageType : std::uint16_t {
  kRegisters = 0,
  kInterceptMessage = 1,
  /// Of confidential partitions.
  kGhcb = 2,
};

struct MapVpStatePageInput {
  /// The parent says where the page shall appear.
  static constexpr std::uint8_t kPlaceGiven = 1u << 0;
  PartitionId partition{};
  VpIndex vp{};
  VpStatePageType type{};
  std::uint8_t target_vtl = 0;
  std::uint8_t flags = 0;
  machine::Gpn place;
};
static_assert(sizeof(MapVpStatePageInput) == 24);
static_assert(offsetof(MapVpStatePageInput, type) == 12);
static_assert(offsetof(MapVpStatePageInput, flags) == 15);
static_assert(offsetof(MapVpStatePageInput, place) == 16);

struct MapVpStatePageOutput {
  machine::Gpn place;
};
static_assert(sizeof(MapVpStatePageOutput) == 8);

struct UnmapVpStatePageInput {
  PartitionId partition{};
  VpIndex vp{};
  VpStatePageType type{};
  std::uint8_t target_vtl = 0;
  std::uint8_t reserved = 0;
};
static_assert(sizeof(UnmapVpStatePageInput) == 16);
static_assert(offsetof(UnmapVpStatePageInput, type) == 12);

}  // namespace hv
