#include "tests/interface/partition_steps.h"

#include <vector>

#include "tests/hv/test_kernel.h"

namespace interface_test {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::PartitionProperty;
using hv::Status;
using machine::Gpn;

namespace {

constexpr std::uint64_t kDepositBase = 0x8000;
constexpr std::uint64_t kDepositPages = 80;

}  // namespace

PartitionId created_partition(const hv::CreatePartitionInput& input) {
  GUEST_CHECK(call(HypercallControl(CallCode::kCreatePartition), input).status() ==
              Status::kSuccess);
  return output<hv::PartitionIdOutput>().partition;
}

void initialize_with_memory(PartitionId id) {
  std::vector<Gpn> pages;
  for (std::uint64_t page = 0; page < kDepositPages; ++page) {
    pages.emplace_back(kDepositBase + page);
  }
  GUEST_CHECK(call(HypercallControl(CallCode::kDepositMemory), hv::DepositMemoryInput{id},
                   std::span<const Gpn>(pages))
                  .status() == Status::kSuccess);
  GUEST_CHECK(
      call(HypercallControl(CallCode::kInitializePartition), hv::PartitionInput{id}).status() ==
      Status::kSuccess);
}

PartitionId active_partition() {
  const PartitionId id = created_partition();
  initialize_with_memory(id);
  return id;
}

PartitionId finalized_partition() {
  const PartitionId id = active_partition();
  GUEST_CHECK(
      call(HypercallControl(CallCode::kFinalizePartition), hv::PartitionInput{id}).status() ==
      Status::kSuccess);
  return id;
}

Status try_create_vp(PartitionId id, std::uint32_t index) {
  hv::CreateVpInput input;
  input.partition = id;
  input.vp = hv::VpIndex{index};
  return call(HypercallControl(CallCode::kCreateVp), input).status();
}

void create_vp(PartitionId id, std::uint32_t index) {
  GUEST_CHECK(try_create_vp(id, index) == Status::kSuccess);
}

Status get_property(PartitionId id, PartitionProperty property) {
  const hv::GetPartitionPropertyInput input{id, property, 0};
  return call(HypercallControl(CallCode::kGetPartitionProperty), input).status();
}

std::uint64_t property_of(PartitionId id, PartitionProperty property) {
  GUEST_CHECK(get_property(id, property) == Status::kSuccess);
  return output<hv::GetPartitionPropertyOutput>().value;
}

Status set_property(PartitionId id, PartitionProperty property, std::uint64_t value) {
  const hv::SetPartitionPropertyInput input{id, property, 0, value};
  return call(HypercallControl(CallCode::kSetPartitionProperty), input).status();
}

Status set_property_ex(PartitionId id, PartitionProperty property, std::uint32_t argument,
                       std::uint32_t qwords, std::uint64_t value) {
  const hv::SetPartitionPropertyExInput input{id, property, 0, argument, 0};
  for (std::uint32_t index = 0; index < qwords; ++index) {
    machine::store_u64(kInputPage + sizeof(input) + index * 8, value);
  }
  return call(HypercallControl(CallCode::kSetPartitionPropertyEx).with_variable_header(qwords),
              input)
      .status();
}

}  // namespace interface_test
