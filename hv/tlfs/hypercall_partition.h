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

/// What the property is of, if it is of more than the partition: a number or a VP index, and the
/// kind of object in the last byte.
struct GetPartitionPropertyExInput {
  PartitionId partition{};
  PartitionProperty property{};
  std::uint32_t reserved = 0;
  std::uint64_t argument = 0;
};
static_assert(sizeof(GetPartitionPropertyExInput) == 24);
static_assert(offsetof(GetPartitionPropertyExInput, argument) == 16);

/// The value of the property VmmCapabilities.
struct VmmCapabilities {
  /// HvCallMapGpaPages keeps the adjustable flag.
  static constexpr std::uint64_t kMapKeepsAdjustable = 1u << 0;
  /// Calls that map a page of the hypervisor's take a place for it.
  static constexpr std::uint64_t kOverlayPlaces = 1u << 1;
  static constexpr std::uint64_t kVpAffinity = 1u << 2;
  /// The parent chooses the synthetic processor features.
  static constexpr std::uint64_t kAssignableSyntheticFeatures = 1u << 4;
  std::uint16_t bank_count = 0;
  std::array<std::uint16_t, 3> reserved{};
  std::uint64_t bits = 0;
};
static_assert(sizeof(VmmCapabilities) == 16);
static_assert(offsetof(VmmCapabilities, bits) == 8);

/// The value of VpSchedulingAffinity: logical processors, as a set of one bank.
struct ProcessorSetValue {
  /// The banks that the mask names, or all there are.
  static constexpr std::uint64_t kSparse = 0;
  static constexpr std::uint64_t kAll = 1;
  std::uint64_t format = kSparse;
  std::uint64_t valid_banks = 0;
  std::uint64_t bank = 0;
};
static_assert(sizeof(ProcessorSetValue) == 24);
static_assert(offsetof(ProcessorSetValue, bank) == 16);

/// The value follows as the variable header.
struct SetPartitionPropertyExInput {
  PartitionId partition{};
  PartitionProperty property{};
  std::uint32_t reserved = 0;
  std::uint32_t argument = 0;
  std::uint32_t padding = 0;
};
static_assert(sizeof(SetPartitionPropertyExInput) == 24);
static_assert(offsetof(SetPartitionPropertyExInput, argument) == 16);

/// GetVpCpuidValues; CpuidLeaf elements follow, and CpuidValues come back.
struct GetVpCpuidValuesInput {
  /// Leaves that depend on XCR0 and IA32_XSS answer as the virtual processor's own say.
  static constexpr std::uint32_t kUseVpStates = 1u << 0;
  /// Results that the parent registered count.
  static constexpr std::uint32_t kApplyRegistered = 1u << 1;
  static constexpr std::uint32_t kKnownFlags = kUseVpStates | kApplyRegistered;
  PartitionId partition{};
  VpIndex vp{};
  std::uint32_t flags = 0;
  std::uint32_t reserved = 0;
  std::uint32_t padding = 0;
};
static_assert(sizeof(GetVpCpuidValuesInput) == 24);
static_assert(offsetof(GetVpCpuidValuesInput, flags) == 12);

struct CpuidLeaf {
  std::uint32_t leaf = 0;
  std::uint32_t subleaf = 0;
};
static_assert(sizeof(CpuidLeaf) == 8);

struct CpuidValues {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
};
static_assert(sizeof(CpuidValues) == 16);

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
