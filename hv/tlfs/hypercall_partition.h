// Parameters of the partition calls (TLFS "Partition Management").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/partition.h"

namespace hv {

struct ProximityDomainInfo {
  static constexpr std::uint32_t kPreferred = 1u << 0;
  static constexpr std::uint32_t kValid = 1u << 31;
  std::uint32_t id = 0;
  std::uint32_t flags = 0;
};
static_assert(sizeof(ProximityDomainInfo) == 8);

struct CreatePartitionInput {
  std::uint64_t flags = 0;
  ProximityDomainInfo proximity;
  std::uint32_t compatibility_version = 0;
  std::uint32_t reserved = 0;
  std::array<std::uint64_t, 2> disabled_processor_features{};
  std::uint64_t disabled_xsave_features = 0;
  std::uint64_t isolation_properties = 0;
};
static_assert(sizeof(CreatePartitionInput) == 56);
static_assert(offsetof(CreatePartitionInput, proximity) == 8);
static_assert(offsetof(CreatePartitionInput, compatibility_version) == 16);
static_assert(offsetof(CreatePartitionInput, disabled_processor_features) == 24);
static_assert(offsetof(CreatePartitionInput, isolation_properties) == 48);

/// CreatePartition's and GetPartitionId's answer.
struct PartitionIdOutput {
  PartitionId partition{};
};
static_assert(sizeof(PartitionIdOutput) == 8);

/// InitializePartition, FinalizePartition, DeletePartition and ClearVirtualInterrupt.
struct PartitionInput {
  PartitionId partition{};
};
static_assert(sizeof(PartitionInput) == 8);

struct GetPartitionPropertyInput {
  PartitionId partition{};
  PartitionProperty property{};
  std::uint32_t reserved = 0;
};
static_assert(sizeof(GetPartitionPropertyInput) == 16);
static_assert(offsetof(GetPartitionPropertyInput, property) == 8);

struct GetPartitionPropertyOutput {
  std::uint64_t value = 0;
};
static_assert(sizeof(GetPartitionPropertyOutput) == 8);

struct SetPartitionPropertyInput {
  PartitionId partition{};
  PartitionProperty property{};
  std::uint32_t reserved = 0;
  std::uint64_t value = 0;
};
static_assert(sizeof(SetPartitionPropertyInput) == 24);
static_assert(offsetof(SetPartitionPropertyInput, value) == 16);

struct GetNextChildPartitionInput {
  PartitionId parent{};
  PartitionId previous_child{};
};
static_assert(sizeof(GetNextChildPartitionInput) == 16);

struct GetNextChildPartitionOutput {
  PartitionId next_child{};
};
static_assert(sizeof(GetNextChildPartitionOutput) == 8);

/// EnterSleepState: state 5 turns the computer off.
struct EnterSleepStateInput {
  static constexpr std::uint32_t kOff = 5;
  std::uint32_t sleep_state = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(EnterSleepStateInput) == 8);

struct AddLogicalProcessorInput {
  std::uint32_t logical_processor = 0;
  std::uint32_t apic_id = 0;
  ProximityDomainInfo proximity;
};
static_assert(sizeof(AddLogicalProcessorInput) == 16);

}  // namespace hv
