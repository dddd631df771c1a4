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

/// With bit 31 the state is in pages of the caller's that the variable header names, without it in
/// the call's own blocks.
enum class VpStateType : std::uint32_t {
  kSyntheticTimers = 0x0000'0004,
  kLocalApic = 0x8000'0000,
  kXsave = 0x8000'0001,
  kMessagePage = 0x8000'0002,
  kEventFlagsPage = 0x8000'0003,
};

/// GetVpState and SetVpState. As the variable header follow page numbers, or the state to set.
struct VpStateInput {
  PartitionId partition{};
  VpIndex vp{};
  std::uint8_t input_vtl = 0;
  std::array<std::uint8_t, 3> reserved0{};
  VpStateType type{};
  std::uint32_t reserved1 = 0;
  /// Of kXsave, zero for others: which components, as in XCR0.
  std::uint64_t xsave_flags = 0;
  std::uint64_t xsave_states = 0;
};
static_assert(sizeof(VpStateInput) == 40);
static_assert(offsetof(VpStateInput, input_vtl) == 12);
static_assert(offsetof(VpStateInput, type) == 16);
static_assert(offsetof(VpStateInput, xsave_flags) == 24);

/// The beginning of the page of kLocalApic: registers as the xAPIC's page shows them, but for the
/// TPR, which has a register name.
struct LocalApicState {
  std::uint32_t id = 0;
  std::uint32_t version = 0;
  std::uint32_t logical_destination = 0;
  std::uint32_t destination_format = 0;
  std::uint32_t spurious = 0;
  std::array<std::uint32_t, 8> in_service{};
  std::array<std::uint32_t, 8> trigger_mode{};
  std::array<std::uint32_t, 8> requested{};
  /// Errors as the ESR shows them, and, in error_status, those that a write to it would show.
  std::uint32_t error = 0;
  std::uint32_t command_high = 0;
  std::uint32_t command_low = 0;
  std::uint32_t lvt_timer = 0;
  std::uint32_t lvt_thermal = 0;
  std::uint32_t lvt_performance = 0;
  std::uint32_t lvt_lint0 = 0;
  std::uint32_t lvt_lint1 = 0;
  std::uint32_t lvt_error = 0;
  std::uint32_t lvt_cmci = 0;
  std::uint32_t error_status = 0;
  std::uint32_t initial_count = 0;
  std::uint32_t current_count = 0;
  std::uint32_t divide_configuration = 0;
  std::uint32_t remote_read = 0;
};
static_assert(sizeof(LocalApicState) == 176);
static_assert(offsetof(LocalApicState, in_service) == 20);
static_assert(offsetof(LocalApicState, error) == 116);
static_assert(offsetof(LocalApicState, lvt_timer) == 128);
static_assert(offsetof(LocalApicState, error_status) == 156);
static_assert(offsetof(LocalApicState, remote_read) == 172);

}  // namespace hv
