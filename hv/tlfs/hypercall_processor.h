// Parameters of the virtual processor calls (TLFS "Virtual Processor Management", "Intercepts",
// "Virtual Interrupt Control").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/hypercall_partition.h"
#include "hv/tlfs/intercepts.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/register_names.h"
#include "hv/tlfs/register_values.h"
#include "hv/tlfs/translation.h"
#include "machine/address.h"

namespace hv {

struct CreateVpInput {
  /// Any, a socket, a cluster, those that share a cache.
  static constexpr std::uint8_t kSubnodeTypeMax = 3;
  PartitionId partition{};
  VpIndex vp{};
  std::array<std::uint8_t, 3> reserved{};
  std::uint8_t subnode_type = 0;
  std::uint64_t subnode_id = 0;
  ProximityDomainInfo proximity;
  /// Of a VP of the root's own the logical processor, else 0.
  std::uint64_t flags = 0;
};
static_assert(sizeof(CreateVpInput) == 40);
static_assert(offsetof(CreateVpInput, subnode_type) == 15);
static_assert(offsetof(CreateVpInput, proximity) == 24);
static_assert(offsetof(CreateVpInput, flags) == 32);

struct DeleteVpInput {
  PartitionId partition{};
  VpIndex vp{};
  std::uint32_t reserved = 0;
};
static_assert(sizeof(DeleteVpInput) == 16);

/// The header of GetVpRegisters (elements: RegisterName, answers: RegisterValue) and SetVpRegisters
/// (elements: RegisterAssignment).
struct VpRegistersInput {
  PartitionId partition{};
  VpIndex vp{};
  std::uint8_t input_vtl = 0;
  std::array<std::uint8_t, 3> reserved{};
};
static_assert(sizeof(VpRegistersInput) == 16);
static_assert(offsetof(VpRegistersInput, input_vtl) == 12);

struct RegisterAssignment {
  RegisterName name{};
  std::array<std::uint32_t, 3> reserved{};
  RegisterValue value;
};
static_assert(sizeof(RegisterAssignment) == 32);
static_assert(offsetof(RegisterAssignment, value) == 16);

struct TranslateVirtualAddressInput {
  PartitionId partition{};
  VpIndex vp{};
  std::uint32_t reserved = 0;
  std::uint64_t flags = 0;
  std::uint64_t gva_page = 0;
};
static_assert(sizeof(TranslateVirtualAddressInput) == 32);
static_assert(offsetof(TranslateVirtualAddressInput, gva_page) == 24);

struct StartVirtualProcessorInput {
  PartitionId partition{};
  VpIndex vp{};
  std::uint8_t target_vtl = 0;
  std::array<std::uint8_t, 3> reserved{};
  InitialVpContext context;
};
static_assert(sizeof(StartVirtualProcessorInput) == 240);
static_assert(offsetof(StartVirtualProcessorInput, context) == 16);

/// The header of GetVpIndexFromApicId; elements and answers are u32.
struct GetVpIndexFromApicIdInput {
  PartitionId partition{};
  std::uint8_t target_vtl = 0;
  std::array<std::uint8_t, 7> reserved{};
};
static_assert(sizeof(GetVpIndexFromApicIdInput) == 16);

struct InstallInterceptInput {
  PartitionId partition{};
  std::uint32_t access_mask = 0;
  InterceptType type{};
  std::uint64_t parameter = 0;
};
static_assert(sizeof(InstallInterceptInput) == 24);
static_assert(offsetof(InstallInterceptInput, type) == 12);

enum class VirtualInterruptType : std::uint32_t {
  kFixed = 0,
  kLowestPriority = 1,
  kSmi = 2,
  kRemoteRead = 3,
  kNmi = 4,
  kInit = 5,
  kSipi = 6,
  kExtInt = 7,
  kLocalInt0 = 8,
  kLocalInt1 = 9,
};

struct AssertVirtualInterruptInput {
  static constexpr std::uint64_t kLevel = 1ull << 32;
  static constexpr std::uint64_t kLogicalDestination = 1ull << 33;
  static constexpr std::uint64_t kControlMask = 0x3'FFFF'FFFF;
  static constexpr std::uint32_t kDeassert = 0xFFFF'FFFF;
  PartitionId partition{};
  /// 31:0 VirtualInterruptType and the bits above.
  std::uint64_t control = 0;
  std::uint64_t destination = 0;
  std::uint32_t vector = 0;
  std::uint8_t target_vtl = 0;
  std::array<std::uint8_t, 3> reserved{};
};
static_assert(sizeof(AssertVirtualInterruptInput) == 32);
static_assert(offsetof(AssertVirtualInterruptInput, vector) == 24);
static_assert(offsetof(AssertVirtualInterruptInput, target_vtl) == 28);

}  // namespace hv
